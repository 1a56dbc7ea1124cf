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

/** For so long a wait is only for others that have the lock for milliseconds. */
const SOON_MS = 30;

export class Patience {
  #left: number;

  /** @param budget milliseconds of waiting in all. */
  constructor(budget: number) {
    this.#left = budget;
  }

  /**
   * After a failed try: waits a moment, if it has lasted. Both in milliseconds(): the try began at `since`, and the first of them
   * at `first`. False when the budget is used up.
   */
  async pause(since: number, first: number): Promise<boolean> {
    const now = milliseconds();
    this.#left -= now - since;
    if (this.#left <= 0) return false;
    if (now - first < SOON_MS) return true;
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
