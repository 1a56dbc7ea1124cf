import { readFileSync } from 'node:fs';

/**
 * Whether a process of that id runs. One that is dead and that nobody has waited for (as in a container without an init) does not.
 * One that took a dead one's id counts, so this is never the only bound.
 */
export function isAlive(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    return statOf(pid).runs;
  } catch {
    // Hidden from us.
    return true;
  }
}

/** What the kernel tells of a process. */
export interface ProcessStat {
  readonly name: string;
  /** It is not dead, waiting for its parent to take notice. */
  readonly runs: boolean;
  readonly parent: number;
  /** When it was started: ticks since the machine was. */
  readonly started: number;
}

/** @throws where there is no such process, or it is hidden from us. */
export function statOf(pid: number): ProcessStat {
  // proc(5), stat: the name, the 2nd field, is in parentheses and may hold blanks and parentheses itself; the start is the 22nd.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const end = stat.lastIndexOf(')');
  const fields = stat.slice(end + 2).split(' ');
  return {
    name: stat.slice(stat.indexOf('(') + 1, end),
    runs: fields[0] !== 'Z' && fields[0] !== 'X',
    parent: Number(fields[1]),
    started: Number(fields[19]),
  };
}

/** Whether the launcher (bin/ocagent-hook) has started this process and still waits for it: it can be told things. */
export function launcherWaits(): boolean {
  // One that was killed has left this process to a stranger.
  return process.env['OCAGENT_LAUNCHER'] === String(process.ppid);
}
