import { NARROWEST, wider } from '../portal/width.ts';

/** Lets so many calls to the portal be on their way at once; the more, the more it has answered. */
export class Turnstile {
  #width = NARROWEST;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  /** Resolves when there is room: first come, first served. Whoever has entered leaves. @returns whether it had to be waited for. */
  async enter(): Promise<boolean> {
    const isFull = this.#inside >= this.#width;
    if (isFull) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inside += 1;
    return isFull;
  }

  /** @param wasAnswered whether the portal has answered. */
  leave(wasAnswered: boolean): void {
    if (wasAnswered) this.#width = wider(this.#width);
    this.#inside -= 1;
    while (this.#inside < this.#width) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#inside += 1;
      next();
    }
  }
}
