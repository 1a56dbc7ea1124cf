import { milliseconds } from './clock.ts';

/**
 * How long one process may wait for the state, over all its steps. SQLite's own busy handler is synchronous: while
 * it waits, no timer runs and no SIGTERM is heard. So it gets only SLICE at a time, and the rest is waited here, with
 * the event loop running (design: "Never deaf").
 */
export const SLICE_MS = 40;

export class Patience {
  #left: number;

  /** @param budget milliseconds of waiting in all. */
  constructor(budget: number) {
    this.#left = budget;
  }

  /** Waits a moment after a failed try that began at `since` (milliseconds()). False when the budget is used up. */
  async pause(since: number): Promise<boolean> {
    this.#left -= milliseconds() - since;
    if (this.#left <= 0) return false;
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
