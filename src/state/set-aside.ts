import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import Database from 'better-sqlite3';
import { type Patience, SLICE_MS } from './patience.ts';
import { type FileIdentity, sameFile } from './trust.ts';
import { troubleOf } from './unusable.ts';

/**
 * Moves a corrupt database out of the way, for salvage, so that a new one can begin. The exclusive lock is on a
 * file beside it, since a corrupt database cannot be trusted with its own; it dies with its holder.
 * @returns the new path, or null when the path no longer leads to the file that was found corrupt (a sibling was
 *   faster) or the lock could not be had.
 */
export async function setAside(
  path: string,
  found: FileIdentity,
  patience: Patience,
): Promise<string | null> {
  return alone(path, patience, async () => {
    return sameFile(identityOf(path), found) ? moveAside(path, found) : null;
  });
}

/** Does what only one process may do at a time. @returns null when another did it for as long as the patience lasts. */
export async function alone<T>(path: string, patience: Patience, work: () => Promise<T>): Promise<T | null> {
  const gate = new Database(`${path}.lock`, { timeout: SLICE_MS });
  try {
    return (await lockExclusively(gate, patience)) ? await work() : null;
  } finally {
    gate.close();
  }
}

async function lockExclusively(gate: Database.Database, patience: Patience): Promise<boolean> {
  const wait = patience.begin();
  for (;;) {
    try {
      gate.exec('BEGIN EXCLUSIVE');
      return true;
    } catch (error) {
      if (troubleOf(error) !== 'busy') throw error;
      if (!(await wait.pause())) return false;
    }
  }
}

/**
 * The log's second name is made before the main file goes, and its first name goes after it: a sibling that creates
 * a new database in between deletes the left-over `-wal` by name, and its committed rows must survive that. The
 * suffix is the file's own inode, so that a second try after a crash continues the first.
 */
function moveAside(path: string, found: FileIdentity): string {
  const aside = `${path}.corrupt-${found.ino}`;
  const companions = ['-wal', '-shm'].map((suffix) => ({
    from: path + suffix,
    to: aside + suffix,
    identity: identityOf(path + suffix),
  }));
  for (const { from, to, identity } of companions)
    if (identity !== null) ignoring('EEXIST', () => linkSync(from, to));
  renameSync(path, aside);
  for (const { from, identity } of companions) {
    if (sameFile(identity, identityOf(from))) ignoring('ENOENT', () => unlinkSync(from));
  }
  return aside;
}

function identityOf(path: string): FileIdentity | null {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : { dev: stat.dev, ino: stat.ino };
}

function ignoring(code: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
  }
}
