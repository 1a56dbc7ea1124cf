import type { Config } from '../config/schema.ts';
import { type Aftermath, recordEnd } from '../events/record.ts';
import type { Log } from '../log/log.ts';
import { isServerGoingDown } from '../ocserv/shutdown.ts';
import type { EndedSession, SessionEnd } from '../state/session-end.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import type { Caller } from './caller.ts';
import { countDuration } from './count.ts';
import type { HookSession, HookStats } from './environment.ts';
import { figures } from './figures.ts';
import { openState } from './open-state.ts';
import { type Outcome, reportDropped } from './outcome.ts';
import { reportDirectly } from './report-directly.ts';

/** Nobody waits for a disconnect, and it happens only once: it can afford to wait for the state. */
const PATIENCE_MS = 30_000;

/**
 * A session ended: its record is closed with ocserv's exact counts, and the report to the portal put into the outbox, both
 * synced to the disk. Where that cannot be, the portal is told at once, and if it cannot be either, the log says all that
 * is needed to book it by hand.
 * @returns with the exit status: 0 when it was recorded, here or at the portal. ocserv ignores it.
 */
export async function disconnect(
  session: HookSession,
  stats: HookStats,
  caller: Caller,
  config: Config,
  log: Log,
): Promise<Outcome> {
  const end: SessionEnd = {
    ...session,
    ...stats,
    reason: (await isServerGoingDown(caller.pid)) ? 'SERVER_SHUTDOWN' : 'UNSPECIFIED',
    again: caller.isAgain,
  };
  // It waits for the state and the disk as long as it takes, which must keep no connect from starting.
  caller.leaveSlot();
  const state = await openState(caller, config, log, { patience: PATIENCE_MS, durable: true });
  const { recorded, ended } = state === null ? { recorded: null, ended: null } : await record(state);
  if (recorded !== null && ended !== null) {
    reportDropped(log, recorded.dropped);
    const { sessionId: session_id, known, reason } = ended;
    log.info('disconnect recorded', { session_id, known, reason, ...figures(session, stats) });
    return { status: 0, drain: recorded.drain };
  }
  caller.commit();
  const { told, event } = await reportDirectly(end, ended, config, log);
  const all = { ...figures(session, stats), ...event };
  if (told) {
    log.warn('disconnect not recorded, but told to the portal', all);
    return { status: 0, drain: false };
  }
  log.error('disconnect NOT recorded: book it by hand from this line', all);
  return { status: 1, drain: false };

  /** `ended` without `recorded`: it could be read, so it is known which session that was, but not written. */
  async function record(state: State): Promise<{ recorded: Aftermath | null; ended: EndedSession | null }> {
    try {
      const { ended, aftermath } = await state.step((tx) => {
        caller.commit();
        countDuration(tx, 'disconnect', caller.elapsed());
        return recordEnd(tx, end, config, caller.canStartDrain);
      });
      if (state.unrecorded === null) return { recorded: aftermath, ended };
      log.error('the state could not be written', { path: config.state.path, reason: state.unrecorded });
      return { recorded: null, ended };
    } catch (error) {
      if (!(error instanceof StateUnusable)) throw error;
      log.error('the state cannot be used', {
        path: config.state.path,
        reason: error.message,
        cure: error.cure,
      });
      return { recorded: null, ended: null };
    }
  }
}
