import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { inBatches, inTurns, untilDone } from '../../src/state/batches.ts';
import { openState, scratch } from './fixture.ts';

async function place(t: TestContext) {
  const path = join(scratch(t), 'state.db');
  const state = await openState(path, { patience: 100 });
  const other = new Database(path, { timeout: 0 });
  t.after(() => other.close());
  return { state, other };
}

/** A monotonic clock that passes only when the test says so: what a transaction takes is no matter of this machine. */
function slow(t: TestContext): { pass(milliseconds: number): void } {
  let elapsed = 1_000_000;
  const stopped = (): [number, number] => [Math.floor(elapsed / 1_000), (elapsed % 1_000) * 1_000_000];
  const bigint = () => BigInt(elapsed) * 1_000_000n;
  t.mock.property(process, 'hrtime', Object.assign(stopped, { bigint }) as NodeJS.HRTime);
  return {
    pass: (milliseconds) => {
      elapsed += milliseconds;
    },
  };
}

describe('a long work in turns', () => {
  /** How many rows each turn might treat, where each took so long. */
  const widths = async (t: TestContext, took: readonly number[]): Promise<number[]> => {
    const { state } = await place(t);
    const clock = slow(t);
    const seen: number[] = [];
    await inTurns(
      state,
      (_, atMost) => {
        clock.pass(took[seen.length] ?? 0);
        seen.push(atMost);
      },
      () => seen.length < took.length,
    );
    return seen;
  };

  test('treats more rows at once while that is quick, up to a bound', async (t) => {
    assert.deepEqual(await widths(t, Array(8).fill(0)), [128, 256, 512, 1_024, 2_048, 2_048, 2_048, 2_048]);
  });

  test('treats fewer where that took too long, and never none', async (t) => {
    assert.deepEqual(await widths(t, Array(6).fill(5)), [128, 64, 32, 16, 16, 16]);
  });

  test('stays with what takes about as long as a hook may wait', async (t) => {
    assert.deepEqual(await widths(t, [2, 4, 3, 1, 5, 2]), [128, 128, 128, 128, 256, 128]);
  });

  test('leaves the lock to others after each, for as long as it was held', async (t) => {
    const { state, other } = await place(t);
    const held = 25;
    const ends: number[] = [];
    const pauses: number[] = [];
    let had = 0;
    await inTurns(
      state,
      () => {
        const began = performance.now();
        const before = ends.at(-1);
        if (before !== undefined) pauses.push(began - before);
        while (performance.now() - began < held);
        assert.throws(() => other.exec('BEGIN IMMEDIATE'), /locked/);
        ends.push(performance.now());
        if (ends.length === 4) return;
        setTimeout(() => {
          other.exec('BEGIN IMMEDIATE; ROLLBACK');
          had += 1;
        }, 1);
      },
      () => ends.length < 4,
    );
    assert.equal(had, 3);
    for (const pause of pauses) assert.ok(pause >= held - 1, `${pause} ms`);
  });

  test('goes on by what is on record, and by nothing else', async (t) => {
    const { state, other } = await place(t);
    const told: number[] = [];
    let turns = 0;
    await inTurns(
      state,
      (tx) => {
        turns += 1;
        tx.write('UPDATE sequence SET value = value + 1');
        return turns;
      },
      (done) => {
        told.push(done);
        if (done === 2) other.exec('BEGIN IMMEDIATE');
        return true;
      },
    );
    assert.deepEqual(told, [1, 2], 'what the third came to is nowhere');
    assert.notEqual(state.unrecorded, null);
    other.exec('ROLLBACK');
    assert.deepEqual(await state.step((tx) => tx.row('SELECT value FROM sequence')), { value: 2 });
  });

  test('ends with the fault of what it is made of, and takes that turn back', async (t) => {
    const { state } = await place(t);
    let turns = 0;
    const work = inTurns(
      state,
      (tx) => {
        tx.write('UPDATE sequence SET value = value + 1');
        if (++turns === 3) throw new Error('a fault');
      },
      () => true,
    );
    await assert.rejects(work, /a fault/);
    assert.deepEqual(await state.step((tx) => tx.row('SELECT value FROM sequence')), { value: 2 });
  });
});

describe('a work until it is done', () => {
  test('goes on while each turn treats all that it may, and says how many that were', async (t) => {
    const { state } = await place(t);
    slow(t);
    let left = 700;
    const total = await untilDone(state, (_, atMost) => {
      const treated = Math.min(left, atMost);
      left -= treated;
      return treated;
    });
    assert.deepEqual([total, left], [700, 0]);
    assert.equal(await untilDone(state, () => 0), 0);
  });

  test('goes once more where the last turn could just have been all', async (t) => {
    const { state } = await place(t);
    const seen: number[] = [];
    let left = 128;
    await untilDone(state, (_, atMost) => {
      seen.push(left);
      const treated = Math.min(left, atMost);
      left -= treated;
      return treated;
    });
    assert.deepEqual(seen, [128, 0]);
  });

  test('does not count what was not recorded', async (t) => {
    const { state, other } = await place(t);
    slow(t);
    let turns = 0;
    const total = await untilDone(state, (_, atMost) => {
      turns += 1;
      if (turns === 2) setImmediate(() => other.exec('BEGIN IMMEDIATE'));
      return atMost;
    }).finally(() => other.exec('ROLLBACK'));
    assert.ok(turns > 2, 'the third could only be read');
    assert.equal(total, 128 + 256);
  });
});

describe('a list in batches', () => {
  test('is treated a few at a time, each once and in its order', async (t) => {
    const { state } = await place(t);
    const parts: (readonly number[])[] = [];
    const results = await inBatches(state, [1, 2, 3, 4, 5], 2, (_, part) => {
      parts.push(part);
      return part.map((n) => n * 10);
    });
    assert.deepEqual(parts, [[1, 2], [3, 4], [5]]);
    assert.deepEqual(results, { done: [10, 20, 30, 40, 50], unrecorded: null });
    assert.deepEqual(await inBatches(state, [], 2, () => [1]), { done: [], unrecorded: null });
  });

  test('says why some of it is not on record, though a later part is', async (t) => {
    const { state, other } = await place(t);
    const seen: number[] = [];
    const { unrecorded } = await inBatches(state, [1, 2, 3], 1, (tx, [n = 0]) => {
      tx.write('UPDATE sequence SET value = value + 1');
      seen.push(n);
      if (n === 1) setImmediate(() => other.exec('BEGIN IMMEDIATE'));
      if (n === 2 && !tx.writable) other.exec('ROLLBACK');
      return [];
    });
    assert.deepEqual(seen, [1, 2, 3]);
    assert.match(`${unrecorded}`, /locked/);
    assert.equal(state.unrecorded, null);
    assert.deepEqual(await state.step((tx) => tx.row('SELECT value FROM sequence')), { value: 2 });
  });
});
