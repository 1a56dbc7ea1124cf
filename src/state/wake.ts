/**
 * Processes that meet at the state wake each other by a signal once there is something to see. SIGCONT, because a process id
 * may by then be a stranger's: to whoever does not wait for it this signal does nothing, but for one that somebody has stopped: that goes on.
 * A signal can be lost (sent too early, or from another container), so whoever sleeps also looks by himself from time to time.
 */
const SIGNAL = 'SIGCONT';

let listening = false;
let woken = false;
let wakeUp = (): void => {};

/** From now on a signal is not missed. */
export function listenForWake(): void {
  if (listening) return;
  listening = true;
  process.on(SIGNAL, rouse);
}

/** As a signal does, from within. */
export function rouse(): void {
  woken = true;
  wakeUp();
}

/**
 * Until a sibling wakes this process, or has since the last time; at most so many milliseconds.
 * @returns whether one has.
 */
export async function sleepUntilWoken(atMost: number): Promise<boolean> {
  if (!woken) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, atMost);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  const wasWoken = woken;
  woken = false;
  return wasWoken;
}

export function wake(pid: number): void {
  try {
    process.kill(pid, SIGNAL);
  } catch {
    // It has gone.
  }
}
