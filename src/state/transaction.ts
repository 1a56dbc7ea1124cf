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
    return this.#prepare(sql).get(...values) as T | undefined;
  }

  rows<T>(sql: string, ...values: Value[]): T[] {
    return this.#prepare(sql).all(...values) as T[];
  }

  /** Rows one at a time, for tables that need not fit in memory. */
  each<T>(sql: string, ...values: Value[]): IterableIterator<T> {
    // Of its own: while rows are taken from it, a statement cannot be used for anything else.
    return this.#db.prepare(sql).iterate(...values) as IterableIterator<T>;
  }

  /** @returns how many rows were changed; 0 where nothing can be written. */
  write(sql: string, ...values: Value[]): number {
    if (!this.writable) return 0;
    return this.#prepare(sql).run(...values).changes;
  }

  #prepare(sql: string): Statement {
    return prepare(this.#db, sql);
  }
}

const prepared = new WeakMap<Database, Map<string, Statement>>();

/** A drain makes the same few statements thousands of times, and compiling one takes longer than running it. */
function prepare(db: Database, sql: string): Statement {
  const known = prepared.get(db) ?? new Map<string, Statement>();
  prepared.set(db, known);
  const statement = known.get(sql) ?? db.prepare(sql);
  known.set(sql, statement);
  return statement;
}
