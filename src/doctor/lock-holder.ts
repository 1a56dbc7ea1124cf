import { readFileSync, statSync } from 'node:fs';
import { sleep } from '../state/patience.ts';

/** Hooks wait for a second at most, all their waits together; then they go on without the state. */
const LONG_MS = 1_200;
const LOOK_EVERY_MS = 50;

/** SQLite's file format, "WAL-Index Format": the byte of the -shm file that whoever writes has locked. */
const WAL_WRITE_LOCK = '120';

/**
 * Who has held the state's write lock for longer than a hook waits: his process id. Null when nobody has. The kernel's table is looked
 * at, so that nobody is kept from anything.
 */
export async function lockHolder(path: string): Promise<number | null> {
  const inode = statSync(`${path}-shm`, { throwIfNoEntry: false })?.ino;
  if (inode === undefined) return null;
  const first = writer(inode);
  if (first === null) return null;
  const until = performance.now() + LONG_MS;
  while (performance.now() < until) {
    await sleep(LOOK_EVERY_MS);
    if (writer(inode) !== first) return null;
  }
  return first;
}

/** proc(5), locks: `1: POSIX  ADVISORY  WRITE 11128 fe:00:2155044 120 120`. */
function writer(inode: number): number | null {
  for (const line of readFileSync('/proc/locks', 'latin1').split('\n')) {
    const [, , , access, pid, place = '', from] = line.split(/\s+/);
    if (access === 'WRITE' && from === WAL_WRITE_LOCK && place.endsWith(`:${inode}`)) return Number(pid);
  }
  return null;
}
