import { statSync } from 'node:fs';
import { sameFile } from '../state/trust.ts';

/** What decides which file a path leads to, and which network an address is on. Another ocserv, in a namespace of its own, may share only the run folder. */
const WHERE = ['ns/mnt', 'ns/net', 'root'];

/**
 * Whether a process of that launcher's own would be as this one: where the same files and the same network are, and of the same program. After an
 * upgrade by a symbolic link it would not.
 * @param program what the launcher would run, as it says it: from where it is, or whole.
 */
export function runsAlike(pid: number, program: string, own: string): boolean {
  const isSame = (a: string, b: string): boolean => sameFile(statSync(a), statSync(b));
  try {
    return (
      WHERE.every((part) => isSame(`/proc/${pid}/${part}`, `/proc/self/${part}`)) &&
      // Not by a function that takes ".." away: it leads out of another folder than the text says.
      isSame(program.startsWith('/') ? program : `/proc/${pid}/cwd/${program}`, own)
    );
  } catch {
    // Gone, or hidden.
    return false;
  }
}
