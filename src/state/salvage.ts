import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import type { State } from './state.ts';
import type { Transaction } from './transaction.ts';

/** What was got out of a database that had been set aside as corrupt. */
export interface Salvaged {
  readonly file: string;
  /** Undelivered events that are in the outbox again. */
  readonly events: number;
  /** Sessions that had not ended, on record again. */
  readonly sessions: number;
  /** What could not be read, in words; empty when nothing is missing. */
  readonly lost: readonly string[];
}

const COMPANIONS = ['', '-wal', '-shm'];

/**
 * Takes undelivered events and live sessions over from databases that were set aside. Each is looked at once, and is named
 * `….salvaged-…` from then on. A second one at work does no harm: events keep their ids.
 */
export async function salvage(path: string, state: State): Promise<Salvaged[]> {
  const results: Salvaged[] = [];
  for (const file of setAsideFiles(path, 'corrupt')) {
    const { events, sessions, lost } = readAside(file);
    const taken = await state.step((tx) => ({
      sessions: sessions.filter((row) => takeSession(tx, row)).length,
      events: takeEvents(tx, events),
    }));
    if (state.unrecorded !== null) throw new Error(`the state cannot be written: ${state.unrecorded}`);
    for (const suffix of COMPANIONS) rename(file + suffix, file.replace('.corrupt-', '.salvaged-') + suffix);
    results.push({ file, ...taken, lost });
  }
  return results;
}

/** Removes what was set aside and looked at longer than `keep` milliseconds ago. @returns how many. */
export function removeSalvaged(path: string, keep: number): number {
  const old = setAsideFiles(path, 'salvaged').filter((file) => Date.now() - statSync(file).ctimeMs > keep);
  for (const file of old) for (const suffix of COMPANIONS) rmSync(file + suffix, { force: true });
  return old.length;
}

function setAsideFiles(path: string, kind: 'corrupt' | 'salvaged'): string[] {
  const folder = dirname(path);
  const prefix = `${basename(path)}.${kind}-`;
  return readdirSync(folder)
    .filter((entry) => entry.startsWith(prefix) && /^\d+$/.test(entry.slice(prefix.length)))
    .sort()
    .map((entry) => join(folder, entry));
}

type Row = Record<string, string | number | null>;

function readAside(file: string): { events: Row[]; sessions: Row[]; lost: string[] } {
  const lost: string[] = [];
  const read = (db: Database.Database, what: string, table: string, key: string, where: string): Row[] => {
    try {
      const { rows, gap } = readAround(db, table, key, where);
      if (gap !== null) lost.push(`${what} ${gap}`);
      return rows;
    } catch (error) {
      lost.push(`its ${what} could not be read: ${(error as Error).message}`);
      return [];
    }
  };
  let db: Database.Database | null = null;
  try {
    db = new Database(file, { fileMustExist: true, timeout: 1_000 });
    return {
      sessions: read(db, 'sessions', 'session', 'id', 'ended_wall IS NULL'),
      events: read(db, 'events', 'event', 'seq', '1'),
      lost,
    };
  } catch (error) {
    return { events: [], sessions: [], lost: [`it could not be opened: ${(error as Error).message}`] };
  } finally {
    db?.close();
  }
}

/** Reads a table from its beginning to where it is broken, and from its end back to there. */
function readAround(
  db: Database.Database,
  table: string,
  key: string,
  where: string,
): { rows: Row[]; gap: string | null } {
  const front: Row[] = [];
  const back: Row[] = [];
  let from = Number.MIN_SAFE_INTEGER;
  let to = Number.MAX_SAFE_INTEGER;
  let broken: unknown = null;
  try {
    for (const row of db.prepare(`SELECT * FROM ${table} WHERE ${where} ORDER BY ${key}`).iterate()) {
      front.push(row as Row);
      from = Number((row as Row)[key]);
    }
    return { rows: front, gap: null };
  } catch (error) {
    broken = error;
  }
  try {
    const backwards = `SELECT * FROM ${table} WHERE ${where} AND ${key} > ? ORDER BY ${key} DESC`;
    for (const row of db.prepare(backwards).iterate(from)) {
      back.unshift(row as Row);
      to = Number((row as Row)[key]);
    }
  } catch {
    // It is as broken from that side.
  }
  const between = `${front.length === 0 ? 'the first' : from} and ${back.length === 0 ? 'the last' : to}`;
  return {
    rows: [...front, ...back],
    gap: `between ${between} could not be read: ${(broken as Error).message}`,
  };
}

/**
 * Under numbers before all that is in the outbox: what a session left in the old database came before what it left in the new.
 */
function takeEvents(tx: Transaction, events: readonly Row[]): number {
  const first = tx.row<{ seq: number | null }>('SELECT min(seq) AS seq FROM event')?.seq ?? 1;
  let seq = Math.min(first, 1) - events.length;
  let taken = 0;
  for (const row of events) {
    const replaced =
      row['type'] === 'update' &&
      tx.row('SELECT 1 FROM event WHERE session_id = ?', row['session_id'] ?? '') !== undefined;
    if (replaced || !isEvent(row)) continue;
    taken += tx.write(
      `INSERT OR IGNORE INTO event
         (seq, id, type, session_id, username, vhost, at_wall, body, attempts, last_error, failed_wall)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      seq++,
      ...[
        'id',
        'type',
        'session_id',
        'username',
        'vhost',
        'at_wall',
        'body',
        'attempts',
        'last_error',
        'failed_wall',
      ].map((column) => row[column] ?? null),
    );
  }
  return taken;
}

/** A row that a broken page holds can be anything. */
function isEvent(row: Row): boolean {
  try {
    return typeof row['id'] === 'string' && typeof JSON.parse(String(row['body'])) === 'object';
  } catch {
    return false;
  }
}

/** Not one that has ended since, under whatever id its end was recorded. */
function takeSession(tx: Transaction, row: Row): boolean {
  const { session_id = '', ocserv_id = '', username = '', connected_wall = 0 } = row;
  const known = tx.row(
    `SELECT 1 FROM session WHERE session_id = ?
       OR (ocserv_id = ? AND username = ? AND (ended_wall IS NULL OR ended_wall >= ?))`,
    session_id,
    ocserv_id,
    username,
    connected_wall,
  );
  if (known !== undefined) return false;
  const columns = tx
    .rows<{ name: string }>(`SELECT name FROM pragma_table_info('session') WHERE name <> 'id'`)
    .map(({ name }) => name)
    .filter((name) => row[name] !== undefined);
  return (
    tx.write(
      `INSERT OR IGNORE INTO session (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      ...columns.map((name) => row[name] ?? null),
    ) > 0
  );
}

/** One that another process has renamed already is done. */
function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
