import { statSync } from 'node:fs';
import { type FileIdentity, sameFile } from '../state/trust.ts';

/** What decides which file a path leads to, and which network an address is on. Another ocserv, in a namespace of its own, may share only the run folder. */
const WHERE = ['ns/mnt', 'ns/net', 'root'];

/**
 * Whether a process of that launcher's own would be as this one: where the same files and the same network are, and of the same program. After an
 * upgrade by a symbolic link it would not.
 * @param program what the launcher would run, as it says it: from where it is, or whole.
 */
export function runsAlike(pid: number, program: string, ownProgram: string): boolean {
  try {
    // This process stays where it is.
    own ??= whereIs('self');
    const theirs = whereIs(pid);
    // Not by a function that takes ".." away: it leads out of another folder than the text says.
    const file = program.startsWith('/') ? program : `/proc/${pid}/cwd/${program}`;
    return (
      own.every((place, i) => sameFile(place, theirs[i])) && sameFile(statSync(ownProgram), statSync(file))
    );
  } catch {
    // Gone, or hidden.
    return false;
  }
}

let own: readonly FileIdentity[] | undefined;

function whereIs(pid: number | 'self'): FileIdentity[] {
  return WHERE.map((part) => statSync(`/proc/${pid}/${part}`));
}
