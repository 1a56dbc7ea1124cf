import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { CHECKPOINT_PAGES, CONNECT_CHECKPOINT_PAGES, type State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import type { Caller } from './caller.ts';

/** The state, or null when it cannot be used: the call then goes on without it, and the log says why. */
export async function openState(
  caller: Caller,
  config: Config,
  log: Log,
  { patience, durable }: { patience: number; durable: boolean },
): Promise<State | null> {
  try {
    return await caller.openState({
      path: config.state.path,
      create: true,
      patience,
      durable,
      isBusy: caller.isLate(),
      checkpointPages: durable ? CHECKPOINT_PAGES : CONNECT_CHECKPOINT_PAGES,
      onSetAside: (aside) =>
        log.error('the state was corrupt: it was set aside, and a new one begun', {
          path: config.state.path,
          aside,
          cure: 'see the disk; what was cached is asked for anew',
        }),
    });
  } catch (error) {
    if (!(error instanceof StateUnusable)) throw error;
    reportStateLost(log, config)(error);
    return null;
  }
}

export function reportStateLost(log: Log, config: Config): (error: StateUnusable) => void {
  return (error) =>
    log.error('the state cannot be used: going on without cache, breaker and session records', {
      path: config.state.path,
      reason: error.message,
      cure: error.cure,
    });
}
