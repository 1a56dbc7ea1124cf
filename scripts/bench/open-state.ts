import type { StateOptions } from '../../src/state/open.ts';
import { State } from '../../src/state/state.ts';

/** The program's own state, in a process of the bench. @throws when it is corrupt: then nothing that was measured means anything. */
export function openState(
  options: Pick<StateOptions, 'path' | 'create' | 'patience' | 'checkpointPages'>,
): Promise<State> {
  return State.open({
    durable: false,
    onSetAside: (aside) => {
      throw new Error(`the state was set aside as ${aside}`);
    },
    ...options,
  });
}
