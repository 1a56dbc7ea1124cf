import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { updateSession } from '../state/sessions.ts';
import { StateUnusable } from '../state/unusable.ts';
import type { Caller } from './caller.ts';
import { countDuration } from './count.ts';
import type { HookSession } from './environment.ts';
import { figures } from './figures.ts';
import { openState } from './open-state.ts';
import type { Outcome } from './outcome.ts';

const PATIENCE_MS = 1_000;

/**
 * The client told its host name or moved to DTLS: noted on its session. It never blocks anybody.
 * @returns with the exit status: 0 unless the state could not take it. ocserv ignores it.
 */
export async function hostUpdate(
  session: HookSession,
  caller: Caller,
  config: Config,
  log: Log,
): Promise<Outcome> {
  return { status: await note(session, caller, config, log), drain: false };
}

async function note(session: HookSession, caller: Caller, config: Config, log: Log): Promise<number> {
  // It waits for the state and the disk, which must keep no connect from starting.
  caller.leaveSlot();
  const state = await openState(caller, config, log, { patience: PATIENCE_MS, durable: false });
  if (state === null) return 1;
  try {
    const sessionId = await state.step((tx) => {
      caller.commit();
      countDuration(tx, 'host-update', caller.elapsed());
      return updateSession(tx, session, session.metadata);
    });
    if (state.unrecorded !== null) {
      log.warn('host-update not recorded', { reason: state.unrecorded, ...figures(session, null) });
      return 1;
    }
    if (sessionId === null)
      log.info('host-update of a session that is not on record', figures(session, null));
    else log.debug('host-update recorded', { session_id: sessionId, ...figures(session, null) });
    return 0;
  } catch (error) {
    if (!(error instanceof StateUnusable)) throw error;
    log.warn('host-update not recorded', {
      reason: error.message,
      cure: error.cure,
      ...figures(session, null),
    });
    return 1;
  }
}
