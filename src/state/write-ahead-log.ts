import { statSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { SLICE_MS } from './patience.ts';

/** A page and its head, as the log holds them. */
const FRAME = 4_096 + 24;

/**
 * Empties the write-ahead log once it is longer than `checkpointPages`, unless somebody is reading: then the next one does.
 *
 * SQLite checkpoints by itself, and begins the log anew at the next write of a process that is still there. Hooks write once and go.
 * The next one finds nobody there, so it reads the whole log, and cannot know that it has been checkpointed: it would
 * grow for ever, and every start with it. What this does comes after the commit, so that failing changes nothing.
 */
export function emptyLog(
  db: Database,
  { path, checkpointPages }: { readonly path: string; readonly checkpointPages: number },
): void {
  try {
    const size = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= checkpointPages * FRAME) return;
    // Copying and syncing, which a slow disk makes long, go without the write lock; what is left then takes no time under it.
    const [{ log, checkpointed } = { log: 0, checkpointed: -1 }] = db.pragma('wal_checkpoint(PASSIVE)') as {
      log: number;
      checkpointed: number;
    }[];
    if (log !== checkpointed) return;
    // It holds the lock while it waits for readers: so it does not wait.
    db.pragma('busy_timeout = 0');
    try {
      db.pragma('wal_checkpoint(TRUNCATE)');
    } finally {
      db.pragma(`busy_timeout = ${SLICE_MS}`);
    }
  } catch {
    // The next step meets whatever is wrong.
  }
}
