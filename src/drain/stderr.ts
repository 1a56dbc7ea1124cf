import { constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import { STDERR } from '../log/log.ts';
import { sameFile } from '../state/trust.ts';

/** While the launcher waits it has its stderr here: its own messages go nowhere then. */
const DESCRIPTOR = 8;

/**
 * Where the log lines of a call go that was handed over: to the stderr of the process that waits.
 * @returns our own where it is the same, as of the same ocserv; else a descriptor that never blocks, to be closed; null where there is no way to it.
 */
export function stderrOf(pid: number): number | null {
  const path = `/proc/${pid}/fd/${DESCRIPTOR}`;
  try {
    const theirs = statSync(path);
    if (sameFile(theirs, fstatSync(STDERR))) return STDERR;
    if (!theirs.isFIFO() && !(theirs.isFile() && appends(pid))) return null;
    return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    // Nobody reads there, or it is a socket.
    return null;
  }
}

/** Lines of somebody who does not append would be overwritten, or overwrite. proc(5), fdinfo: the flags are octal. */
function appends(pid: number): boolean {
  const [, flags = '0'] =
    /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${DESCRIPTOR}`, 'latin1')) ?? [];
  return (Number.parseInt(flags, 8) & constants.O_APPEND) !== 0;
}
