import { accessSync, constants } from 'node:fs';
import type Database from 'better-sqlite3';
import { milliseconds, now } from './clock.ts';
import { hurry } from './hurry.ts';
import { isCurrent } from './migrate.ts';
import { openPatiently, type StateOptions, setAsideAndTell } from './open.ts';
import { Patience } from './patience.ts';
import { Transaction } from './transaction.ts';
import { checkTrust, type FileIdentity, sameFile } from './trust.ts';
import { explain, isReadOnly, StateUnusable, troubleOf, unusable } from './unusable.ts';
import { emptyLog } from './write-ahead-log.ts';

/** A connect leaves that to others, for whom nobody waits, until the log is so long that reading it costs more (design: "Checkpoints"). */
export const CONNECT_CHECKPOINT_PAGES = 1_000;
export const CHECKPOINT_PAGES = 200;

/** What is read is settled with the first reading: before the time is taken, or siblings would write in its future. */
const BEGIN_READING = 'BEGIN; PRAGMA user_version';

/** What cannot be written while it is opened SQLite opens for reading alone, and leaves it at that. */
const readOnlyOnes = new WeakSet<Database.Database>();

/** Milliseconds: a transaction that took longer to begin had to wait for somebody. */
const CONTENDED_MS = 1;

/**
 * What lives between invocations. Every use is one `step`: one short transaction, never open across a wait.
 * It is never closed on purpose: closing as the last one checkpoints and deletes the log, at each invocation anew,
 * and closing a database that was set aside would delete its successor's log by name.
 */
export class State {
  /** Why the last step could not record what it should have; null when it did. */
  unrecorded: string | null = null;
  readonly #options: StateOptions;
  readonly #patience: Patience;
  #db: Database.Database;
  #identity: FileIdentity | null;
  #epoch = 0;
  /** Others want the lock as well, as far as this process has seen. */
  #contended: boolean;

  private constructor(
    options: StateOptions,
    patience: Patience,
    db: Database.Database,
    identity: FileIdentity | null,
  ) {
    this.#options = options;
    this.#patience = patience;
    this.#db = db;
    this.#identity = identity;
    this.#contended = options.isBusy === true;
  }

  /** Whether there is a file; without one this is an empty state in memory, which ends with this process. */
  get isThere(): boolean {
    return !this.#db.memory;
  }

  /**
   * Opens the state, creating it or bringing it forward where needed. A corrupt one is set aside and begun anew.
   * @throws {StateUnusable} when it is missing, foreign, newer, locked for longer than the patience, or unreadable.
   */
  static async open(options: StateOptions): Promise<State> {
    const patience = new Patience(options.patience);
    const { db, identity } = await openPatiently(options, patience);
    return new State(options, patience, db, identity);
  }

  /**
   * The same, already open, for another of several uses in one process: each has its own patience, and sees for itself what becomes of it.
   * @returns null where the path leads to another file by now, or to one that a newer program has brought forward, or that can be written again.
   * @throws {StateUnusable} where it may not be used any more.
   */
  sharedFor(options: StateOptions): State | null {
    const found = checkTrust(options.path);
    const isOurs = sameFile(found, this.#identity) && this.#epoch === 0;
    if (!isOurs || this.#db.inTransaction) return null;
    if (readOnlyOnes.has(this.#db) && mayWrite(options.path)) return null;
    try {
      if (!isCurrent(this.#db, options.path)) return null;
    } catch (error) {
      if (error instanceof StateUnusable) throw error;
      // Opening it meets the same, with patience.
      return null;
    }
    return new State(options, new Patience(options.patience), this.#db, this.#identity);
  }

  /**
   * Runs `work` in one transaction. Where the state cannot be written (full, read-only, locked for too long) the
   * same work runs once more on what can be read, with its writes left out, and `unrecorded` says why.
   * @throws {StateUnusable} when it cannot even be read.
   */
  async step<T>(work: (tx: Transaction) => T): Promise<T> {
    let wait = this.#patience.begin();
    for (;;) {
      try {
        const result = this.#attempt('BEGIN IMMEDIATE', work, true);
        this.unrecorded = null;
        return result;
      } catch (error) {
        switch (troubleOf(error)) {
          case 'busy':
            if (await wait.pause()) continue;
            return this.#readOnly(work, error);
          case 'unwritable':
            if (isReadOnly(error)) readOnlyOnes.add(this.#db);
            return this.#readOnly(work, error);
          case 'corrupt':
            if (this.#epoch > 0) throw unusable(this.#options.path, error);
            await this.#recover();
            // That has spent some of the patience itself.
            wait = this.#patience.begin();
            continue;
          case 'unusable':
            throw unusable(this.#options.path, error);
          case 'not SQLite':
            throw error;
        }
      }
    }
  }

  /**
   * Reads in one transaction that keeps nobody from writing, however long it takes.
   * @throws {StateUnusable}
   */
  async read<T>(work: (tx: Transaction) => T): Promise<T> {
    const wait = this.#patience.begin();
    for (;;) {
      try {
        return this.#attempt(BEGIN_READING, work, false);
      } catch (error) {
        if (troubleOf(error) === 'not SQLite') throw error;
        if (troubleOf(error) !== 'busy' || !(await wait.pause())) {
          throw unusable(this.#options.path, error);
        }
      }
    }
  }

  #readOnly<T>(work: (tx: Transaction) => T, because: unknown): T {
    try {
      const result = this.#attempt(BEGIN_READING, work, false);
      this.unrecorded = explain(because);
      return result;
    } catch (error) {
      if (troubleOf(error) === 'not SQLite') throw error;
      throw unusable(this.#options.path, error);
    }
  }

  #attempt<T>(begin: string, work: (tx: Transaction) => T, writable: boolean): T {
    // Before it has the lock: getting there takes longer than what is done under it.
    const calmDown = writable && this.#contended ? hurry() : null;
    const since = milliseconds();
    try {
      this.#db.exec(begin);
    } catch (error) {
      // Reading begins with two statements, and the first of them holds.
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      calmDown?.();
      throw error;
    } finally {
      this.#contended ||= milliseconds() - since > CONTENDED_MS;
    }
    try {
      const result = work(new Transaction(this.#db, now(), writable, this.#epoch));
      this.#db.exec('COMMIT');
      if (writable) emptyLog(this.#db, this.#options);
      return result;
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      calmDown?.();
    }
  }

  async #recover(): Promise<void> {
    this.#epoch++;
    if (this.#identity !== null) await setAsideAndTell(this.#options, this.#identity, this.#patience);
    ({ db: this.#db, identity: this.#identity } = await openPatiently(this.#options, this.#patience));
  }
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
