import type { Log } from '../log/log.ts';

/** Logs of calls that are over, whose last lines may still be on their way to a reader that is slow. */
export class ClosingLogs {
  readonly #closing = new Set<Promise<void>>();

  close(log: Log): void {
    // What cannot be closed (a network's file system can say so) is of no more use.
    const closing: Promise<void> = log
      .close()
      .catch(() => {})
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /**
   * Waits until all are closed, at most `limit` milliseconds.
   * @returns whether they are; if not, a thread still hangs in a write.
   */
  async closed(limit: number): Promise<boolean> {
    if (this.#closing.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limit);
    });
    await Promise.race([Promise.allSettled(this.#closing), late]);
    clearTimeout(timer);
    return this.#closing.size === 0;
  }
}
