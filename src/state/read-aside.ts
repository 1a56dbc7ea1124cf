import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';

export type Row = Readonly<Record<string, string | number | null>>;

/** What could be read of a database that was set aside, and in words what could not. */
export interface Read {
  readonly events: readonly Row[];
  /** Those that had not ended. */
  readonly sessions: readonly Row[];
  readonly lost: readonly string[];
}

/** Null when it is not there: somebody else has treated it. */
export function readAside(file: string): Read | null {
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
    // A file that ends early is otherwise refused whole, with all that its beginning still holds.
    db.unsafeMode();
    db.pragma('writable_schema = ON');
    return {
      sessions: read(db, 'sessions', 'session', 'id', 'ended_wall IS NULL'),
      events: read(db, 'events', 'event', 'seq', '1'),
      lost,
    };
  } catch (error) {
    if (!existsSync(file)) return null;
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
