import assert from 'node:assert/strict';
import { closeSync, copyFileSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import type { State } from '../../src/state/state.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { openState, scratch } from './fixture.ts';

export interface SetAside {
  readonly path: string;
  /** The database that was set aside. */
  readonly aside: string;
  /** The new one in its place. */
  readonly state: State;
}

/**
 * A state as it is after an older one was set aside as corrupt. Real files: `fill` wrote into the older one, which
 * `spoil` may then damage; with `inLog` all that was written is still in its write-ahead log.
 */
export async function setAsideState(
  t: TestContext,
  fill: (tx: Transaction) => void,
  { spoil = () => {}, inLog = false }: { spoil?: (file: string) => void; inLog?: boolean } = {},
): Promise<SetAside> {
  const origin = join(scratch(t), 'state.db');
  const older = await openState(origin, { checkpointPages: 100_000 });
  await older.step(fill);
  assert.equal(older.unrecorded, null);
  if (!inLog) {
    const db = new Database(origin);
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
  }
  const path = join(scratch(t), 'state.db');
  const aside = `${path}.corrupt-4711`;
  for (const suffix of inLog ? ['', '-wal', '-shm'] : ['']) copyFileSync(origin + suffix, aside + suffix);
  spoil(aside);
  return { path, aside, state: await openState(path) };
}

/** Writes over a page in the middle of a table, as a failing disk would. */
export function spoilMiddleOf(table: string): (file: string) => void {
  return (file) => {
    const db = new Database(file, { readonly: true });
    const pages = db
      .prepare(
        `SELECT pageno, pgoffset AS offset, pgsize AS size FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path`,
      )
      .all(table) as { offset: number; size: number }[];
    db.close();
    assert.ok(pages.length > 10, `${table} has ${pages.length} pages`);
    const { offset, size } = pages[Math.floor(pages.length / 2)] ?? { offset: 0, size: 0 };
    const fd = openSync(file, 'r+');
    writeSync(fd, Buffer.alloc(size, 0xa5), 0, size, offset);
    closeSync(fd);
  };
}
