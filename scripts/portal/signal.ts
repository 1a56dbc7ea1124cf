/** Lets tests wait for something to become true without sleeping: whoever changes the state says so. */
export class Signal {
  readonly #waiting = new Set<() => void>();

  changed(): void {
    for (const check of [...this.#waiting]) check();
  }

  /** Resolves once `condition` holds. `describe` says in the error what there was instead, after `timeoutMs`. */
  until(condition: () => boolean, describe: () => string, timeoutMs = 10_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        settle();
      };
      const check = () => {
        try {
          if (condition()) finish(resolve);
        } catch (error) {
          finish(() => reject(error));
        }
      };
      const timer = setTimeout(
        () => finish(() => reject(new Error(`portal: waited ${timeoutMs} ms in vain: ${describe()}`))),
        timeoutMs,
      );
      this.#waiting.add(check);
      check();
    });
  }
}
