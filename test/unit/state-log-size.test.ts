import assert from 'node:assert/strict';
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { count, total } from '../../src/state/counters.ts';
import { openState, scratch } from './fixture.ts';

/** A page and its head in the write-ahead log. */
const FRAME = 4_096 + 24;

/**
 * One process after another on the same state, none of which closes it: each is given copies of the files, so that nobody has them
 * open when it comes, as after the last one's end. @returns the pages that the write-ahead log had after each.
 */
async function oneAfterAnother(
  t: TestContext,
  processes: number,
  checkpointPages: number,
): Promise<number[]> {
  const pages: number[] = [];
  let path = join(scratch(t), 'state.db');
  for (let n = 0; n < processes; n++) {
    const state = await openState(path, { checkpointPages });
    await state.step((tx) => count(tx, 'ocserv.cache.hits_total'));
    pages.push(Math.floor(statSync(`${path}-wal`).size / FRAME));
    const next = join(scratch(t), 'state.db');
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, next + suffix);
    path = next;
  }
  const last = await openState(path);
  assert.equal(await last.read((tx) => total(tx, 'ocserv.cache.hits_total')), processes);
  return pages;
}

describe('the write-ahead log', () => {
  test('stays within its bound although each process finds it as one that nobody has open, and reads it whole', async (t) => {
    const pages = await oneAfterAnother(t, 120, 100);
    assert.ok(Math.max(...pages) < 110, `${Math.max(...pages)} pages`);
    assert.ok(
      pages.some((now, n) => now < (pages[n - 1] ?? 0)),
      'it was emptied at least once',
    );
  });

  test('is left alone below its bound', async (t) => {
    const pages = await oneAfterAnother(t, 10, 1_000);
    assert.deepEqual(
      pages.toSorted((a, b) => a - b),
      pages,
    );
  });

  test('is not emptied under somebody who reads, who is not waited for either', async (t) => {
    const path = join(scratch(t), 'state.db');
    await openState(path);
    const reader = new Database(path);
    t.after(() => reader.close());
    reader.exec('BEGIN');
    const seen = (): unknown => reader.prepare('SELECT sum(value) FROM counter').pluck().get();
    assert.equal(seen(), null);
    const state = await openState(path, { checkpointPages: 10 });
    for (let n = 0; n < 30; n++) await state.step((tx) => count(tx, 'ocserv.cache.hits_total'));
    assert.equal(seen(), null);
    reader.exec('COMMIT');
    assert.equal(seen(), 30);
  });
});
