import type { Database } from 'better-sqlite3';
import initial from './migrations/001-initial.ts';
import events from './migrations/002-events.ts';
import metrics from './migrations/003-metrics.ts';
import leader from './migrations/004-leader.ts';
import { StateUnusable } from './unusable.ts';

/** In order; the state's `user_version` is how many of them it has had. Never edit one that was released. */
const MIGRATIONS: readonly string[] = [initial, events, metrics, leader];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** The one read that every start pays: nothing to do, or what to do. */
export function isCurrent(db: Database, path: string): boolean {
  const version = userVersion(db);
  if (version > SCHEMA_VERSION) {
    throw new StateUnusable(
      `${path} has schema version ${version}, and this program knows up to ${SCHEMA_VERSION}`,
      'install the ocagent-hook that wrote it, or a newer one; the file was left as it is',
    );
  }
  return version === SCHEMA_VERSION;
}

/** Brings the state forward in one transaction. Two first starts at once: the second finds nothing left to do. */
export function migrate(db: Database, path: string): void {
  // Persistent, and only possible outside a transaction. Readers and the writer do not wait for each other in WAL.
  db.pragma('journal_mode = WAL');
  db.exec('BEGIN IMMEDIATE');
  try {
    if (!isCurrent(db, path)) {
      const from = userVersion(db);
      for (const step of MIGRATIONS.slice(from)) db.exec(step);
      if (from === 0) {
        db.prepare(`INSERT INTO meta VALUES ('created_at', ?), ('instance_id', ?)`).run(
          new Date().toISOString(),
          // The global loads node:crypto only here: importing it would cost every hook five milliseconds.
          crypto.randomUUID(),
        );
      }
      db.pragma(`user_version = ${SCHEMA_VERSION}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

function userVersion(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}
