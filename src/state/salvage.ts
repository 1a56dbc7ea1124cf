import { lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { inBatches } from './batches.ts';
import { Patience } from './patience.ts';
import { type Row, readAside } from './read-aside.ts';
import { alone } from './set-aside.ts';
import type { State } from './state.ts';
import type { Transaction } from './transaction.ts';
import { troubleOf, unwritable } from './unusable.ts';

/** What was got out of a database that had been set aside as corrupt. */
export interface Salvaged {
  readonly file: string;
  /** Undelivered events that are in the outbox again. */
  readonly events: number;
  /** Sessions that had not ended, on record again. */
  readonly sessions: number;
  /** What could not be read or taken, in words; empty when nothing is missing. */
  readonly lost: readonly string[];
}

const COMPANIONS = ['', '-wal', '-shm'];

/** Milliseconds that another process' salvage is waited for. */
const PATIENCE_MS = 1_000;
/** Rows taken over in one transaction. */
const BATCH = 200;

/**
 * Takes undelivered events and live sessions over from databases that were set aside. Each is looked at once, and is named
 * `….salvaged-…` from then on. While another process does it, this one has nothing to do.
 * @throws {StateUnusable} where the state cannot be written. What is left is taken the next time.
 */
export async function salvage(path: string, state: State): Promise<readonly Salvaged[]> {
  if (setAsideFiles(path, 'corrupt').length === 0) return [];
  return (await alone(path, new Patience(PATIENCE_MS), () => salvageAll(path, state))) ?? [];
}

async function salvageAll(path: string, state: State): Promise<Salvaged[]> {
  const results: Salvaged[] = [];
  for (const { file, number } of setAsideFiles(path, 'corrupt')) {
    const read = readAside(file);
    if (read === null) continue;
    const end = await state.read((tx) => endOfNumbers(tx, read.events));
    const start = end - read.events.length;
    const numbered = read.events.map((row, index) => ({ row, seq: start + index }));
    const sessions = await inBatches(state, read.sessions, BATCH, (tx, part) => [takeSessions(tx, part)]);
    const events = await inBatches(state, numbered, BATCH, (tx, part) => [takeEvents(tx, part, end)]);
    const unrecorded = sessions.unrecorded ?? events.unrecorded;
    if (unrecorded !== null) throw unwritable(unrecorded);
    for (const suffix of COMPANIONS) rename(file + suffix, `${path}.salvaged-${number}${suffix}`);
    results.push({
      file,
      events: sum(events.done),
      sessions: sum(sessions.done),
      lost: [...read.lost, ...[...sessions.done, ...events.done].flatMap(({ lost }) => lost)],
    });
  }
  return results;
}

/** Removes what was set aside and looked at longer than `keep` milliseconds ago. @returns how many. */
export function removeSalvaged(path: string, keep: number): number {
  const old = setAsideFiles(path, 'salvaged').filter(({ file }) => {
    const stat = lstatSync(file, { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.ctimeMs > keep;
  });
  for (const { file } of old) for (const suffix of COMPANIONS) rmSync(file + suffix, { force: true });
  return old.length;
}

function setAsideFiles(path: string, kind: 'corrupt' | 'salvaged'): { file: string; number: string }[] {
  const folder = dirname(path);
  const prefix = `${basename(path)}.${kind}-`;
  return readdirSync(folder)
    .filter((entry) => entry.startsWith(prefix) && /^\d+$/.test(entry.slice(prefix.length)))
    .sort()
    .map((entry) => ({ file: join(folder, entry), number: entry.slice(prefix.length) }));
}

interface Taken {
  readonly count: number;
  readonly lost: readonly string[];
}

const EVENT_COLUMNS = [
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
] as const;

function sum(parts: readonly Taken[]): number {
  return parts.reduce((all, { count }) => all + count, 0);
}

/** The number up to which there is room for these: the first that is in the outbox, or else where it was when an earlier try began that was broken off. */
function endOfNumbers(tx: Transaction, events: readonly Row[]): number {
  const first = tx.row<{ seq: number | null }>('SELECT min(seq) AS seq FROM event')?.seq ?? 1;
  return endOfEarlierTry(tx, events) ?? Math.min(first, 1);
}

function endOfEarlierTry(tx: Transaction, events: readonly Row[]): number | null {
  const ids = new Set(events.map(({ id }) => id));
  for (const [index, { id }] of events.entries()) {
    const taken = tx.row<{ seq: number }>('SELECT seq FROM event WHERE id = ?', id ?? '');
    if (taken === undefined) continue;
    const start = taken.seq - index;
    const end = start + events.length;
    // It can also be there out of a third database, into which a try was broken off: then others' are in between.
    const between = tx.rows<{ id: string }>('SELECT id FROM event WHERE seq >= ? AND seq < ?', start, end);
    return end <= 1 && between.every((one) => ids.has(one.id)) ? end : null;
  }
  return null;
}

interface Numbered {
  readonly row: Row;
  readonly seq: number;
}

/**
 * Under numbers before all that was in the outbox: what a session left in the old database came before what it left in the new.
 * @param end the first number that is not theirs.
 */
function takeEvents(tx: Transaction, events: readonly Numbered[], end: number): Taken {
  // An update that a newer event of its session has made void in the meantime.
  const isVoid = (row: Row): boolean =>
    row['type'] === 'update' &&
    tx.row(
      'SELECT 1 FROM event WHERE session_id = ? AND seq >= ? AND failed_wall IS NULL',
      row['session_id'] ?? '',
      end,
    ) !== undefined;
  const numbers = new Map(events.map(({ row, seq }) => [row, seq]));
  const rows = events.map(({ row }) => row);
  return takeAll(rows, 'event', (row) => {
    if (isVoid(row)) return 0;
    if (!isBody(row)) throw new Error('its body is broken');
    return tx.write(
      `INSERT INTO event (seq, ${EVENT_COLUMNS.join(', ')}) VALUES (?, ${EVENT_COLUMNS.map(() => '?').join(', ')})
       ON CONFLICT (id) DO NOTHING`,
      numbers.get(row) ?? null,
      ...EVENT_COLUMNS.map((column) => row[column] ?? null),
    );
  });
}

/** What a broken page holds can be anything; what has no counts can never be sent. */
function isBody(row: Row): boolean {
  try {
    const body = JSON.parse(String(row['body'])) as Record<string, unknown> | null;
    if (typeof body !== 'object' || body === null || Array.isArray(body)) return false;
    const part = row['type'] === 'connect' ? body['metadata'] : body['stats'];
    return typeof part === 'object' && part !== null;
  } catch {
    return false;
  }
}

/** Not those that have ended since, under whatever id their end was recorded. */
function takeSessions(tx: Transaction, sessions: readonly Row[]): Taken {
  const known = tx
    .rows<{ name: string }>(`SELECT name FROM pragma_table_info('session') WHERE name <> 'id'`)
    .map(({ name }) => name);
  return takeAll(sessions, 'session', (row) => {
    const { session_id = '', ocserv_id = '', username = '', connected_wall = 0 } = row;
    const there = tx.row(
      `SELECT 1 FROM session WHERE session_id = ?
         OR (ocserv_id = ? AND username = ? AND (ended_wall IS NULL OR ended_wall >= ?))`,
      session_id,
      ocserv_id,
      username,
      connected_wall,
    );
    if (there !== undefined) return 0;
    if (!['routes', 'dns_servers'].every((name) => isJson(row[name], Array.isArray))) throw broken(row);
    if (!isJson(row['metadata'], (value) => !Array.isArray(value))) throw broken(row);
    const columns = known.filter((name) => row[name] !== undefined);
    return tx.write(
      `INSERT INTO session (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      ...columns.map((name) => row[name] ?? null),
    );
  });
}

function broken({ session_id }: Row): Error {
  return new Error(`what it says of ${session_id} is broken`);
}

function isJson(text: unknown, is: (value: object) => boolean): boolean {
  try {
    const value: unknown = JSON.parse(String(text));
    return typeof value === 'object' && value !== null && is(value);
  } catch {
    return false;
  }
}

/** Each for itself: one that the new database refuses must not keep the others out. */
function takeAll(rows: readonly Row[], what: string, take: (row: Row) => number): Taken {
  const lost: string[] = [];
  let count = 0;
  for (const row of rows) {
    try {
      count += take(row);
    } catch (error) {
      // The disk, not the row.
      if (['busy', 'unwritable', 'corrupt'].includes(troubleOf(error))) throw error;
      lost.push(`${what} ${row['id']} of ${row['username']} could not be taken: ${(error as Error).message}`);
    }
  }
  return { count, lost };
}

/** One that another process has renamed already is done. */
function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
