import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What a process's open descriptors lead to, by number. */
export function descriptors(pid: number): Map<number, string> {
  const folder = `/proc/${pid}/fd`;
  const found = new Map<number, string>();
  for (const name of readdirSync(folder)) {
    try {
      found.set(Number(name), readlinkSync(`${folder}/${name}`));
    } catch {
      // Closed since it was listed.
    }
  }
  return found;
}

/** The sockets that are bound to that path in the process's namespace, as its descriptors name them. */
export function socketsAt(path: string, pid: number): string[] {
  const lines = readFileSync(`/proc/${pid}/net/unix`, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith(` ${path}`)).map((line) => `socket:[${line.split(/\s+/)[6]}]`);
}

/** The session (setsid) that a process belongs to: the sixth field of /proc/PID/stat. */
export function sessionIdOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
}

export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}
