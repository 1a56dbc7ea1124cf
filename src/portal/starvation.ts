import { readFileSync } from 'node:fs';
import { milliseconds } from '../state/clock.ts';

const TICK_MS = 20;

/**
 * Watches how much of a call's time this process was not allowed to run. In a storm hundreds of siblings share the
 * machine, and the local CPU, not the portal, eats the deadline: that must not open the breaker all share.
 */
export class StarvationWatch {
  readonly #since = milliseconds();
  readonly #waitedBefore = runQueueWait();
  readonly #timer: NodeJS.Timeout;
  #lag = 0;

  constructor() {
    let last = milliseconds();
    this.#timer = setInterval(() => {
      const now = milliseconds();
      this.#lag += Math.max(0, now - last - TICK_MS);
      last = now;
    }, TICK_MS).unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }

  /** True when waiting for a CPU plus the event loop's lag took over a third of the time. To be asked as soon as it has ended. */
  wasStarved(): boolean {
    const waited = runQueueWait() - this.#waitedBefore;
    return starved(waited + this.#lag, milliseconds() - this.#since);
  }
}

/** All in milliseconds. */
export function starved(notRunning: number, total: number): boolean {
  return notRunning > total / 3;
}

/** Milliseconds that this process was ready to run and had to wait: the second figure of schedstat, in nanoseconds. */
function runQueueWait(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[1]) / 1e6 || 0;
  } catch {
    // A kernel without scheduler statistics: the event loop's lag alone must tell.
    return 0;
  }
}
