import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { State, type StateOptions } from '../state/state.ts';

/**
 * The state, for a process that works for others. Somebody has written there before it; a state that went since holds nothing.
 * @throws {StateUnusable}
 */
export function openState(
  { state: { path } }: Config,
  log: Log,
  options: Pick<StateOptions, 'patience' | 'checkpointPages'>,
): Promise<State> {
  return State.open({
    path,
    create: false,
    durable: false,
    onSetAside: (aside) => log.error('the state was corrupt: it was set aside', { aside }),
    ...options,
  });
}
