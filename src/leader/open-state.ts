import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import type { StateOptions } from '../state/open.ts';
import { State } from '../state/state.ts';

/**
 * The state, for a process that works for others. Somebody has written there before it; a state that went since holds nothing.
 * @param open where it is open already, for something else that this process does.
 * @throws {StateUnusable}
 */
export function openState(
  { state: { path } }: Config,
  log: Log,
  options: Pick<StateOptions, 'patience' | 'checkpointPages'> & { readonly create?: boolean },
  open = State.open,
): Promise<State> {
  return open({
    path,
    create: false,
    durable: false,
    onSetAside: (aside) => log.error('the state was corrupt: it was set aside', { aside }),
    ...options,
  });
}
