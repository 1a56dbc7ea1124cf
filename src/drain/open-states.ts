import { State, type StateOptions } from '../state/state.ts';

/**
 * The state, opened once for all the calls that are handed over: a hook's own process spends more on opening it than on what it then
 * does there. Each call has its own patience, and each sees to it that it is still the file that the path leads to.
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
