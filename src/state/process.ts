import { readFileSync } from 'node:fs';

/**
 * Whether a process of that id runs. One that is dead and that nobody has waited for (as in a container without an init) does not.
 * One that took a dead one's id counts, so this is never the only bound.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !'ZX'.includes(stat.charAt(stat.lastIndexOf(')') + 2));
  } catch {
    // Hidden from us.
    return true;
  }
}

/** Whether the launcher (bin/ocagent-hook) has started this process and still waits for it: it can be told things. */
export function launcherWaits(): boolean {
  // One that was killed has left this process to a stranger.
  return process.env['OCAGENT_LAUNCHER'] === String(process.ppid);
}
