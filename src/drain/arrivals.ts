import { readdirSync } from 'node:fs';
import { milliseconds } from '../state/clock.ts';
import { type Identity, type Taken, takeCall } from './handed-over.ts';

/**
 * The calls in their folder, taken one after another: each is decided, recorded and told before the next is begun with, unless it waits for the
 * portal. So one whose process is killed here takes one call along, and what is timed goes on.
 */
export class Arrivals {
  readonly #folder: string;
  readonly #own: Identity;
  readonly #onTaken: (taken: Taken, found: number) => void;
  /** Names of those that wait until the ones before them are decided, and when they were found. */
  readonly #found = new Map<string, number>();
  /** Names of those that are addressed to other drains, and may stay for long. */
  readonly #forOthers = new Set<string>();
  #takesNext = false;

  /** @param onTaken is also told when it was found: what was changed until then must be gone by. */
  constructor(folder: string, own: Identity, onTaken: (taken: Taken, found: number) => void) {
    this.#folder = folder;
    this.#own = own;
    this.#onTaken = onTaken;
  }

  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  /** @throws where the folder cannot be read any more. */
  look(): void {
    const names = readdirSync(this.#folder);
    // After it: all of them were handed over before.
    const now = milliseconds();
    for (const name of names) {
      if (!this.#forOthers.has(name) && !this.#found.has(name)) this.#found.set(name, now);
    }
    this.#takeSoon();
  }

  #takeSoon(): void {
    const [next] = this.#found;
    if (this.#takesNext || next === undefined) return;
    const [name, found] = next;
    this.#takesNext = true;
    setImmediate(() => {
      this.#takesNext = false;
      this.#found.delete(name);
      const taken = takeCall(this.#folder, name, this.#own);
      if (taken.what === 'for another drain') this.#forOthers.add(name);
      this.#onTaken(taken, found);
      this.#takeSoon();
    });
  }
}
