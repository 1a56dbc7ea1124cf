import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, writeSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { count, total } from '../../src/state/counters.ts';
import type { State } from '../../src/state/state.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { StateUnusable } from '../../src/state/unusable.ts';
import { openState, scratch } from './fixture.ts';
import { type Sibling, sibling } from './state-child.ts';

const countOne = (tx: Transaction): number => {
  count(tx, 'ocserv.cache.hits_total');
  return total(tx, 'ocserv.cache.hits_total');
};

/** A state with a count of one, which another process holds in the middle of a transaction. */
async function locked(
  t: TestContext,
  patience: number,
): Promise<{ state: State; other: Sibling; path: string }> {
  const path = join(scratch(t), 'state.db');
  await (await openState(path)).step(countOne);
  const state = await openState(path, { patience });
  const other = sibling(t, 'immediate', path);
  assert.equal(await other.said(), 'held');
  return { state, other, path };
}

describe('a state that another process holds', () => {
  test('is waited for, and then written', async (t) => {
    const { state, other } = await locked(t, 60_000);
    const step = state.step(countOne);
    await other.release();
    assert.equal(await step, 2);
    assert.equal(state.unrecorded, null);
  });

  test('is held before all others once there are such: whoever holds it keeps them waiting', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root may go before others');
    const usual = getPriority();
    const { state, other } = await locked(t, 60_000);
    const within: number[] = [];
    const look = (): void => {
      within.push(getPriority());
    };
    const step = state.step(look);
    await other.release();
    await step;
    assert.ok((within[0] ?? usual) < usual, `${within[0]} within, ${usual} before`);
    assert.equal(getPriority(), usual, 'and only while it is held');
    await assert.rejects(
      state.step(() => {
        throw new Error('a fault');
      }),
    );
    assert.equal(getPriority(), usual, 'also after a fault');
    await state.read(look);
    assert.equal(within[1], usual, 'a reader keeps nobody waiting');
  });

  test('for longer than the patience still answers from what can be read, and says what was not recorded', async (t) => {
    const { state } = await locked(t, 100);
    let writable: boolean | null = null;
    const read = await state.step((tx) => {
      writable = tx.writable;
      return countOne(tx);
    });
    assert.deepEqual([read, writable], [1, false]);
    assert.match(state.unrecorded ?? '', /it was locked by another process for too long/);
  });

  test('can be opened and read all the same', async (t) => {
    const { path } = await locked(t, 0);
    const state = await openState(path, { patience: 100 });
    assert.equal(await state.step(countOne), 1);
    assert.notEqual(state.unrecorded, null);
  });

  test('is read without any wait by one who only wants to read, and who cannot write then', async (t) => {
    const { path } = await locked(t, 0);
    const state = await openState(path, { patience: 0 });
    assert.equal(await state.read(countOne), 1);
    assert.equal(await state.read((tx) => tx.writable), false);
    assert.equal(state.unrecorded, null);
  });

  test('is written again once it is free, and then nothing is unrecorded any more', async (t) => {
    const { state, other } = await locked(t, 100);
    await state.step(countOne);
    await other.release();
    assert.equal(await state.step(countOne), 2);
    assert.equal(state.unrecorded, null);
  });

  test('is free when that process dies, and nothing of its transaction is left', async (t) => {
    const { state, other } = await locked(t, 60_000);
    const step = state.step(countOne);
    await other.kill();
    assert.equal(await step, 2);
  });

  test('does not make this process deaf: its timers run while it waits', async (t) => {
    const { state } = await locked(t, 600);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    t.after(() => clearInterval(timer));
    await state.step(countOne);
    assert.ok(ticks >= 5, `${ticks} ticks`);
  });

  test('nor when many wait in it: one tries in each turn of its event loop', async (t) => {
    const { path } = await locked(t, 300);
    const states = await Promise.all(Array.from({ length: 20 }, () => openState(path)));
    let tries = 0;
    let most = 0;
    const { exec } = Database.prototype;
    t.mock.method(Database.prototype, 'exec', function (this: Database.Database, sql: string) {
      tries += 1;
      return exec.call(this, sql);
    });
    const steps = Promise.all(states.map((state) => state.step(countOne)));
    // The first of each is its own.
    await nextTurn();
    let isOver = false;
    void steps.then(() => {
      isOver = true;
    });
    while (!isOver) {
      tries = 0;
      await nextTurn();
      most = Math.max(most, tries);
    }
    await steps;
    // What it is tried for is done in the same turn: beginning, committing, and emptying the log.
    assert.ok(most <= 3, `${most} in one turn`);
  });

  test('is written also with all patience spent, where somebody has the lock for a moment', async (t) => {
    const path = join(scratch(t), 'state.db');
    const state = await openState(path, { patience: 0 });
    const other = new Database(path);
    t.after(() => other.close());
    other.exec('BEGIN IMMEDIATE');
    const step = state.step(countOne);
    other.exec('ROLLBACK');
    assert.equal(await step, 1);
    assert.equal(state.unrecorded, null);
  });

  test('and of which a reading finds the index torn leaves nothing begun behind', async (t) => {
    const { state, other, path } = await locked(t, 100);
    // As one leaves it that was killed in the middle of writing it: it is mended by whoever has the lock.
    const index = openSync(`${path}-shm`, 'r+');
    writeSync(index, Buffer.alloc(48, 7), 0, 48, 0);
    closeSync(index);
    await assert.rejects(state.read(countOne), StateUnusable);
    await other.kill();
    assert.equal(await state.step(countOne), 2);
  });

  test('is opened once, however often it is tried', async (t) => {
    const path = join(scratch(t), 'state.db');
    closeSync(openSync(path, 'w', 0o600));
    const other = sibling(t, 'exclusive', path);
    assert.equal(await other.said(), 'held');
    const before = readdirSync('/proc/self/fd').length;
    await assert.rejects(openState(path, { patience: 300 }), StateUnusable);
    const more = readdirSync('/proc/self/fd').length - before;
    assert.ok(more <= 3, `${more} more files are open`);
  });

  test('before it was first made, for longer than the patience, is not used, with the cure', async (t) => {
    const path = join(scratch(t), 'state.db');
    closeSync(openSync(path, 'w', 0o600));
    const other = sibling(t, 'exclusive', path);
    assert.equal(await other.said(), 'held');
    await assert.rejects(openState(path, { patience: 100 }), (error) => {
      assert.ok(error instanceof StateUnusable, String(error));
      assert.match(error.message, /was locked by another process for too long/);
      assert.match(error.cure, /fuser/);
      return true;
    });
    await other.release();
    assert.equal(await (await openState(path)).step(countOne), 1);
  });
});

describe('a state that cannot grow', () => {
  test('still answers from what can be read, and says that the disk is full', async (t) => {
    const state = await openState(join(scratch(t), 'state.db'));
    await state.step(countOne);
    // The very error that a full disk gives: SQLITE_FULL.
    await state.step((tx) => tx.row('PRAGMA max_page_count = 1'));
    const fill = (tx: Transaction): number => {
      tx.write("INSERT INTO meta VALUES ('much', ?)", 'x'.repeat(1_000_000));
      return total(tx, 'ocserv.cache.hits_total');
    };
    assert.equal(await state.step(fill), 1);
    assert.equal(state.unrecorded, 'the disk is full');
    assert.equal(await state.step(countOne), 2, 'what still fits is written');
    assert.equal(state.unrecorded, null);
  });
});

test('a state of which a table is gone cannot be used, rather than be half used', async (t) => {
  const path = join(scratch(t), 'state.db');
  const state = await openState(path);
  const db = new Database(path);
  db.exec('DROP TABLE counter');
  db.close();
  await assert.rejects(state.step(countOne), StateUnusable);
});
