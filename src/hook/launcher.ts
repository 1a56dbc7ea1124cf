import { sleep } from '../state/patience.ts';
import { launcherWaits } from '../state/process.ts';

/**
 * What this process and the launcher (bin/ocagent-hook), which has started it and waits for it, have agreed on.
 */

/**
 * Added to the exit status where a drain must be started. The launcher, which has waited for this process anyway, takes it off
 * again and starts one: a process that Node starts itself would cost the hook several milliseconds.
 */
const DRAIN_WANTED = 64;

export function statusFor(code: number, drain: boolean): number {
  return drain ? code + DRAIN_WANTED : code;
}

const AGAIN_MS = 20;
const TRIES = 50;

/**
 * Has the launcher end with this status although this process goes on. The signal only makes it look: the status stands in this
 * process' name, which nobody else can set, so a signal of somebody else's lets nobody in. A shell can miss a signal that comes
 * just before it begins to wait, so it is told again until it has gone.
 * @returns whether it has.
 */
export async function launcherAnswers(status: number): Promise<boolean> {
  process.title = `ocagent=${status}`;
  for (let tries = 0; tries < TRIES && launcherWaits(); tries++) {
    process.kill(process.ppid, 'SIGUSR1');
    await sleep(AGAIN_MS);
  }
  return !launcherWaits();
}
