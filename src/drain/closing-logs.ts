import type { Log } from '../log/log.ts';

/** Logs of calls that are over, whose last lines may still be on their way to a reader that is slow. */
export class ClosingLogs {
  readonly #closing = new Set<Log>();

  close(log: Log): void {
    this.#closing.add(log);
    void log
      .close()
      // What cannot be closed (a network's file system can say so) is of no more use.
      .catch(() => {})
      .finally(() => this.#closing.delete(log));
  }

  /**
   * Waits until all their lines are out, at most `limit` milliseconds.
   * @returns whether they are; if not, a thread still hangs in a write.
   */
  async flush(limit: number): Promise<boolean> {
    const flushed = await Promise.all([...this.#closing].map((log) => log.flush(limit)));
    return flushed.every((isOut) => isOut);
  }
}
