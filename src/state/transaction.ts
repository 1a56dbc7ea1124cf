import type { Database, Statement } from 'better-sqlite3';
import type { Instant } from '../resilience/instant.ts';

type Value = string | number | bigint | null;

/**
 * One transaction on the state, handed to the tables' functions. `now` was taken after the lock was won, so
 * rows written by siblings are never from its future. Where the state can only be read, `write` does
 * nothing: the same steps then still answer from what is there.
 */
export class Transaction {
  readonly now: Instant;
  readonly writable: boolean;
  /** Which database of this process' it is: another one after a corrupt one was set aside. */
  readonly epoch: number;
  readonly #db: Database;

  constructor(db: Database, now: Instant, writable: boolean, epoch = 0) {
    this.#db = db;
    this.now = now;
    this.writable = writable;
    this.epoch = epoch;
  }

  row<T>(sql: string, ...values: Value[]): T | undefined {
    const { statement, names } = prepare(this.#db, sql);
    const found = statement.get(...values) as unknown[] | undefined;
    return found === undefined ? undefined : toRow<T>(names, found);
  }

  rows<T>(sql: string, ...values: Value[]): T[] {
    const { statement, names } = prepare(this.#db, sql);
    return (statement.all(...values) as unknown[][]).map((found) => toRow<T>(names, found));
  }

  /** Rows one at a time, for tables that need not fit in memory. */
  each<T>(sql: string, ...values: Value[]): IterableIterator<T> {
    // Of its own: while rows are taken from it, a statement cannot be used for anything else.
    return this.#db.prepare(sql).iterate(...values) as IterableIterator<T>;
  }

  /** @returns how many rows were changed; 0 where nothing can be written. */
  write(sql: string, ...values: Value[]): number {
    if (!this.writable) return 0;
    return prepare(this.#db, sql).statement.run(...values).changes;
  }
}

/** A statement that gives its rows as lists of values; `names` are those of its columns, none where it gives no rows. */
interface Prepared {
  readonly statement: Statement;
  readonly names: readonly string[];
}

const prepared = new WeakMap<Database, Map<string, Prepared>>();

/** A drain makes the same few statements thousands of times, and compiling one takes longer than running it. */
function prepare(db: Database, sql: string): Prepared {
  const known = prepared.get(db) ?? new Map<string, Prepared>();
  prepared.set(db, known);
  const one = known.get(sql) ?? withNames(db.prepare(sql));
  known.set(sql, one);
  return one;
}

function withNames(statement: Statement): Prepared {
  if (!statement.reader) return { statement, names: [] };
  return { statement: statement.raw(), names: statement.columns().map(({ name }) => name) };
}

/** The library has a way of its own to make a row's object: it compiles a function for each statement, 1 % of a hook's life in all. */
function toRow<T>(names: readonly string[], values: readonly unknown[]): T {
  const row: Record<string, unknown> = {};
  for (const [i, name] of names.entries()) row[name] = values[i];
  return row as T;
}
