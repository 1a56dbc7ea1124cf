import { NARROWEST, wider } from '../portal/width.ts';

/** Lets so many calls to the portal be on their way at once; the more, the more it has answered. */
export class Turnstile {
  #width = NARROWEST;
  #inside = 0;
  readonly #waiting: (() => void)[] = [];

  /** Resolves when there is room: first come, first served. Whoever has entered leaves. */
  async enter(): Promise<void> {
    if (this.#inside < this.#width) this.#inside += 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
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
