import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  delivered,
  forgetWaits,
  lastSeq,
  nextDue,
  pendingCount,
  postpone,
  setAsideEvent,
  untriedCount,
} from '../../src/state/outbox.ts';
import { listEvents, listFailed, retryEvent, tallyOutbox } from '../../src/state/outbox-list.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { connectOf, endOf, find, idsIn, PLENTY, put, updateOf } from './session-events.ts';

const MINUTE = 60_000;
const due = (tx: Transaction) => nextDue(tx, [], 10).map(({ id }) => id);

describe('an event that is postponed', () => {
  test('is due again after its wait and not before, and what comes after it in its session waits with it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1'), c2: connectOf('2') });
      postpone(tx, find(tx, 'c1'), 'INTERNAL: x', MINUTE);
      put(tx, { d1b: endOf('1') });
      assert.deepEqual(due(tx), ['c2']);
    });
    assert.deepEqual(on(at(MINUTE - 1), due), ['c2']);
    assert.deepEqual(on(at(MINUTE), due), ['c2', 'c1'], 'the longest waiting goes first');
    const { attempts, lastError, retryAt, failedAt } = on(at(0), (tx) => find(tx, 'c1'));
    assert.deepEqual([attempts, lastError, retryAt, failedAt], [1, 'INTERNAL: x', at(MINUTE).wall, null]);
    assert.equal(on(at(0), (tx) => find(tx, 'd1')).attempts, 0, 'that one was not tried');
    assert.equal(on(at(0), (tx) => find(tx, 'd1')).retryAt, at(MINUTE).wall);
  });

  test('does not shorten a longer wait of what comes after it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1') });
      postpone(tx, find(tx, 'd1'), 'x', 2 * MINUTE);
      postpone(tx, find(tx, 'c1'), 'x', MINUTE);
      assert.equal(find(tx, 'd1').retryAt, at(2 * MINUTE).wall);
    });
  });

  test('is due at once when all waits are forgotten', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1') });
      postpone(tx, find(tx, 'c1'), 'x', MINUTE);
      forgetWaits(tx, 1_000);
      assert.deepEqual([due(tx), find(tx, 'c1').attempts], [['c1'], 1]);
    });
  });

  test('does not wait longer than any wait is, though the clock was set back by a year', async (t) => {
    const on = await ledger(t);
    const year = 365 * 24 * 60 * MINUTE;
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), c2: connectOf('2') });
      postpone(tx, find(tx, 'c1'), 'x', 5 * MINUTE);
    });
    on(at(-year), (tx) => {
      postpone(tx, find(tx, 'c2'), 'x', 5 * MINUTE);
      assert.deepEqual(due(tx), []);
      forgetWaits(tx, 1_000, 5 * MINUTE);
      assert.deepEqual(due(tx), ['c1'], 'and one that is no longer than that goes on');
    });
  });

  test('is told as tried since all waits were forgotten, and one that was not as untried', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), c2: connectOf('2') });
      const upTo = lastSeq(tx);
      put(tx, { c3: connectOf('3') });
      postpone(tx, find(tx, 'c1'), 'x', MINUTE);
      assert.equal(untriedCount(tx, upTo), 1);
      forgetWaits(tx, 1_000);
      assert.equal(untriedCount(tx, upTo), 2);
      setAsideEvent(tx, find(tx, 'c2'), 'x');
      assert.equal(untriedCount(tx, upTo), 1);
    });
  });
});

describe('an event that the portal will never take', () => {
  test('is set aside at once and holds up neither others nor its own session', async (t) => {
    const on = await ledger(t);
    on(at(7), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1'), c2: connectOf('2') });
      setAsideEvent(tx, find(tx, 'c1'), 'INVALID_ARGUMENT: bad');
      assert.deepEqual(due(tx), ['d1', 'c2']);
      const { attempts, lastError, failedAt } = find(tx, 'c1');
      assert.deepEqual([attempts, lastError, failedAt], [1, 'INVALID_ARGUMENT: bad', at(7).wall]);
      assert.equal(pendingCount(tx), 2);
    });
  });

  test('stays when an update or an end of its session comes: somebody must look at it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { u1: updateOf('1') });
      setAsideEvent(tx, find(tx, 'u1'), 'bad');
      put(tx, { u2: updateOf('1'), d1: endOf('1') });
      assert.deepEqual(idsIn(tx), ['u1', 'd1']);
    });
  });

  test('is not made due by forgetting waits, but by retrying it: then at once, and first in its session', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1') });
      postpone(tx, find(tx, 'c1'), 'x', MINUTE);
      setAsideEvent(tx, find(tx, 'c1'), 'bad');
      forgetWaits(tx, 1_000);
      assert.deepEqual(due(tx), ['d1']);
      retryEvent(tx, find(tx, 'c1'));
      assert.deepEqual(due(tx), ['c1']);
      assert.deepEqual([pendingCount(tx), find(tx, 'c1').failedAt, find(tx, 'c1').attempts], [2, null, 2]);
    });
  });
});

describe('what people and monitoring see', () => {
  test('is how many are pending, of which type, how many have failed, and since when the oldest waits', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      const nothing = { connect: 0, disconnect: 0, update: 0 };
      assert.deepEqual(tallyOutbox(tx), { pending: 0, pendingByType: nothing, failed: 0, oldestAt: null });
      put(tx, {
        c1: connectOf('1', { at: 1 }),
        u1: updateOf('1', { at: 40 }),
        c2: connectOf('2', { at: 20 }),
        d3: endOf('3', { at: 30 }),
      });
      setAsideEvent(tx, find(tx, 'c1'), 'bad');
      assert.deepEqual(tallyOutbox(tx), {
        pending: 3,
        pendingByType: { connect: 1, disconnect: 1, update: 1 },
        failed: 1,
        oldestAt: 20,
      });
    });
  });

  test('is a list in order, of all or of those that have failed, of all users or of one, up to a limit', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, {
        a: connectOf('1'),
        b: connectOf('2', { username: 'bob' }),
        c: endOf('1'),
        d: endOf('2', { username: 'bob' }),
      });
      for (const id of ['b', 'c']) setAsideEvent(tx, find(tx, id), 'bad');
      const ids = (filter: Partial<Parameters<typeof listEvents>[1]>) =>
        listEvents(tx, { limit: PLENTY, ...filter }).map(({ id }) => id);
      assert.deepEqual(ids({}), ['a', 'b', 'c', 'd']);
      assert.deepEqual(ids({ limit: 2 }), ['a', 'b']);
      assert.deepEqual(ids({ username: 'bob' }), ['b', 'd']);
      assert.deepEqual(ids({ failedOnly: true }), ['b', 'c']);
      assert.deepEqual(ids({ failedOnly: true, username: 'bob' }), ['b']);
      assert.deepEqual(ids({ username: 'BOB' }), []);
    });
  });

  test('names those set aside before a moment, for retention', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => put(tx, { a: endOf('1'), b: endOf('2'), c: endOf('3') }));
    on(at(5), (tx) => setAsideEvent(tx, find(tx, 'a'), 'bad'));
    on(at(6), (tx) => setAsideEvent(tx, find(tx, 'b'), 'bad'));
    on(at(9), (tx) => {
      const ids = (limit: number, before?: number) => listFailed(tx, limit, before).map(({ id }) => id);
      assert.deepEqual(ids(10), ['a', 'b']);
      assert.deepEqual(ids(10, at(6).wall), ['a']);
      assert.deepEqual(ids(1), ['a']);
    });
  });

  test('are not told of another event that has its number by now', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { u1: updateOf('1') });
      const [out] = nextDue(tx, [], 1);
      assert.ok(out);
      tx.write('DELETE FROM event');
      put(tx, { d2: endOf('2') });
      tx.write('UPDATE event SET seq = ?', out.seq);
      delivered(tx, out);
      setAsideEvent(tx, out, 'bad');
      assert.deepEqual(
        nextDue(tx, [], 9).map(({ id }) => id),
        ['d2'],
      );
    });
  });

  test('that are void do not make the end of their session wait', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { u1: updateOf('1') });
      const [out] = nextDue(tx, [], 1);
      assert.ok(out);
      put(tx, { d1: endOf('1') });
      postpone(tx, out, 'UNIMPLEMENTED', 300_000);
      assert.deepEqual(
        nextDue(tx, [], 1).map(({ id }) => id),
        ['d1'],
      );
    });
  });
});
