import { milliseconds } from './clock.ts';

/**
 * How long one process may wait for the state, over all its steps. SQLite's own busy handler is synchronous: while
 * it waits, no timer runs and no SIGTERM is heard. So it gets only SLICE at a time, and the rest is waited here, with
 * the event loop running (design: "Never deaf").
 *
 * It looks at 0, 1, 3, 8, 18, 33 ms and so on. Who works in turns leaves the lock for 2 ms or a little more (batches.ts), which it would miss again and
 * again. So it is begun anew after 3 ms.
 */
export const SLICE_MS = 3;

/** Tries without a pause between them: 30 ms, in which whoever has the lock for milliseconds gives it back. */
const AT_ONCE = 10;

export class Patience {
  #left: number;

  /** @param budget milliseconds of waiting in all. */
  constructor(budget: number) {
    this.#left = budget;
  }

  /**
   * After a failed try that began at `since` (milliseconds()), the how many-th in a row: waits a moment, if there were some. False when the budget is
   * used up.
   */
  async pause(since: number, tries: number): Promise<boolean> {
    this.#left -= milliseconds() - since;
    if (this.#left <= 0) return false;
    if (tries < AT_ONCE) return true;
    // Siblings that collided once must not meet again at the same moment.
    const wait = Math.min(this.#left, 2 + Math.random() * 18);
    await sleep(wait);
    this.#left -= wait;
    return true;
  }
}

/** Milliseconds. node:timers/promises has one, but every hook would pay for loading it. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
