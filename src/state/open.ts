import Database from 'better-sqlite3';
import { isCurrent, migrate } from './migrate.ts';
import { type Patience, SLICE_MS } from './patience.ts';
import { setAside } from './set-aside.ts';
import { checkTrust, type FileIdentity, sameFile } from './trust.ts';
import { explain, StateUnusable, troubleOf, unusable } from './unusable.ts';

export interface StateOptions {
  readonly path: string;
  /** Milliseconds that all waits for the state together may take. */
  readonly patience: number;
  /** What this process commits must survive a power cut, so each commit is synced. */
  readonly durable: boolean;
  /** Pages of write-ahead log past which a commit also empties it. */
  readonly checkpointPages: number;
  /** Where there is none yet: make one, or work on an empty one in memory that leaves no file behind. */
  readonly create: boolean;
  /** This machine is busy: others want the lock, too, and whoever holds it must not be put aside. */
  readonly isBusy?: boolean;
  /** Told when a corrupt database was set aside, under which name. */
  readonly onSetAside: (aside: string) => void;
}

export interface Opened {
  readonly db: Database.Database;
  /** Null for one in memory, and for one that this process made. */
  readonly identity: FileIdentity | null;
}

/**
 * Opens it, creates it or brings it forward. A corrupt one is set aside and begun anew, once.
 * @throws {StateUnusable} when it is missing, foreign, newer, locked for longer than the patience, or unreadable.
 */
export async function openPatiently(options: StateOptions, patience: Patience): Promise<Opened> {
  let wait = patience.begin();
  let opened: Opened | null = null;
  for (let recovered = false; ; ) {
    const identity = checkTrust(options.path);
    try {
      // Each would hold its files until this process ends.
      if (opened === null || !sameFile(opened.identity, identity))
        opened = { db: openDatabase(options, identity), identity };
      makeCurrent(opened.db, options);
      return opened;
    } catch (error) {
      if (error instanceof StateUnusable) throw error;
      const trouble = troubleOf(error);
      if (trouble === 'busy' && (await wait.pause())) continue;
      if (trouble !== 'corrupt' || identity === null || recovered) throw unusable(options.path, error);
      recovered = true;
      opened = null;
      await setAsideAndTell(options, identity, patience);
      wait = patience.begin();
    }
  }
}

/** @throws {StateUnusable} where it stays in the way. */
export async function setAsideAndTell(
  options: StateOptions,
  found: FileIdentity,
  patience: Patience,
): Promise<void> {
  try {
    const aside = await setAside(options.path, found, patience);
    if (aside !== null) options.onSetAside(aside);
  } catch (error) {
    throw new StateUnusable(
      `${options.path} is corrupt and could not be set aside: ${explain(error)}`,
      'move it away by hand, its -wal and -shm with it',
    );
  }
}

/** All stay open until the process ends: closing one would touch files by a name that others may own by then. */
const everOpened: Database.Database[] = [];

function openDatabase({ path, create }: StateOptions, identity: FileIdentity | null): Database.Database {
  const inMemory = identity === null && !create;
  const db = new Database(inMemory ? ':memory:' : path, { timeout: SLICE_MS });
  everOpened.push(db);
  return db;
}

function makeCurrent(db: Database.Database, { path, durable }: StateOptions): void {
  if (!isCurrent(db, path)) migrate(db, path);
  if (durable) db.pragma('synchronous = FULL');
}
