import { launcherWaits } from '../state/process.ts';

/**
 * What this process and the launcher (bin/ocagent-hook), which has started it and waits for it, have agreed on.
 */

/**
 * Added to the exit status where a drain must be started. The launcher, which has waited for this process anyway, takes it off
 * again and starts one: a process that Node starts itself would cost the hook several milliseconds.
 */
export const DRAIN_WANTED = 64;

/** How a connect's status is told without ending. */
const SIGNALS: Readonly<Record<number, NodeJS.Signals>> = {
  0: 'SIGUSR1',
  1: 'SIGUSR2',
  [0 + DRAIN_WANTED]: 'SIGALRM',
  [1 + DRAIN_WANTED]: 'SIGVTALRM',
};

const AGAIN_MS = 20;

/**
 * Lets the launcher end with this status although this process goes on. A shell can miss a signal that comes just before it begins to
 * wait, so it is told again until it has gone.
 * @returns what stops that.
 */
export function answerAndStay(status: number): () => void {
  const tell = (): void => {
    const signal = SIGNALS[status];
    if (launcherWaits() && signal !== undefined) process.kill(process.ppid, signal);
    else clearInterval(again);
  };
  const again = setInterval(tell, AGAIN_MS);
  tell();
  return () => clearInterval(again);
}
