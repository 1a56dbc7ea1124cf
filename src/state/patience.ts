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

/** For so long it may only be somebody who has the lock for milliseconds; and for so many tries at most, whatever the clock says. */
const SOON_MS = 30;
const SOON_TRIES = 10;

export class Patience {
  #left: number;

  /** @param budget milliseconds of waiting in all. */
  constructor(budget: number) {
    this.#left = budget;
  }

  /** Before the first try of several. */
  begin(): Wait {
    return new Wait(this);
  }

  /** Milliseconds that are left. */
  get left(): number {
    return Math.max(0, this.#left);
  }

  spend(milliseconds: number): void {
    this.#left -= milliseconds;
  }
}

/** One wait, for as long as there is patience. */
export class Wait {
  readonly #patience: Patience;
  readonly #first = milliseconds();
  #since = this.#first;
  #tries = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** After a failed try: waits a moment, which is longer once a few have failed. False when the patience is at its end. */
  async pause(): Promise<boolean> {
    this.#spend(0);
    this.#tries += 1;
    // Also where no patience is left: what has waited for long is not to be lost over somebody who has the lock for milliseconds. By the clock: many
    // waits in one process spend this time together.
    if (this.#tries > 1 && (this.#tries >= SOON_TRIES || this.#since - this.#first >= SOON_MS)) {
      if (this.#patience.left === 0) return false;
      // Siblings that collided once must not meet again at the same moment.
      const wait = Math.min(this.#patience.left, 2 + Math.random() * 18);
      await sleep(wait);
      this.#spend(wait);
    }
    await turn();
    return true;
  }

  /** What is over since the last time, on a busy machine more than was asked for. */
  #spend(atLeast: number): void {
    const now = milliseconds();
    this.#patience.spend(Math.max(atLeast, now - this.#since));
    this.#since = now;
  }
}

let last = Promise.resolve();

/** Of many waits in one process one tries in each turn of its event loop, so that what else there is to do comes in between. */
function turn(): Promise<void> {
  last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
  return last;
}

/** Milliseconds. node:timers/promises has one, but every hook would pay for loading it. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
