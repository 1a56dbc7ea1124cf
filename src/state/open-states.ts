import type { StateOptions } from './open.ts';
import { State } from './state.ts';

/**
 * The state, opened once for all that one process does: a hook spends more on opening it than on what it then does there, and of two
 * connections each reads anew what the other has written. Each use has its own patience, and sees to it that it is still the file that the path
 * leads to.
 */
export class OpenStates {
  readonly #durable = new Map<boolean, State>();

  /** @throws {StateUnusable} */
  async open(options: StateOptions): Promise<State> {
    const shared = this.#durable.get(options.durable)?.sharedFor(options);
    if (shared) return shared;
    const opened = await State.open(options);
    this.#durable.set(options.durable, opened);
    return opened;
  }
}
