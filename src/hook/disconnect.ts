import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { endSession } from '../state/sessions.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import type { HookSession, HookStats } from './environment.ts';
import { figures } from './figures.ts';
import { openState } from './open-state.ts';

/** Nobody waits for a disconnect, and it happens only once: it can afford to wait for the state. */
const PATIENCE_MS = 30_000;

/**
 * A session ended: its record is closed with ocserv's exact counts, synced to the disk.
 * @returns the exit status: 0 when it was recorded. ocserv ignores it.
 */
export async function disconnect(
  session: HookSession,
  stats: HookStats,
  config: Config,
  log: Log,
): Promise<number> {
  // The launcher counts: a try that was killed may have recorded it all the same.
  const again = Number(process.env['OCAGENT_TRY'] ?? 1) > 1;
  const state = await openState(config, log, { patience: PATIENCE_MS, durable: true });
  const recorded = state === null ? null : await record(state);
  if (recorded === null) {
    log.error('disconnect NOT recorded: book it by hand from this line', figures(session, stats));
    return 1;
  }
  log.info('disconnect recorded', {
    session_id: recorded.sessionId,
    known: recorded.known,
    ...figures(session, stats),
  });
  return 0;

  async function record(state: State): Promise<{ sessionId: string; known: boolean } | null> {
    try {
      const ended = await state.step((tx) => endSession(tx, { ...session, ...stats, again }));
      if (state.unrecorded === null) return ended;
      log.error('the state could not be written', { path: config.state.path, reason: state.unrecorded });
    } catch (error) {
      if (!(error instanceof StateUnusable)) throw error;
      log.error('the state cannot be used', {
        path: config.state.path,
        reason: error.message,
        cure: error.cure,
      });
    }
    return null;
  }
}
