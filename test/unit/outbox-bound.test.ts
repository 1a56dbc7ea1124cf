import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drop, enqueue, pendingCount, setAsideEvent } from '../../src/state/outbox.ts';
import { listFailed } from '../../src/state/outbox-list.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { connectOf, endOf, find, idsIn, put, updateOf } from './session-events.ts';

const droppedTotal = (tx: Transaction) =>
  Object.fromEntries(
    tx
      .rows<{ attributes: string; value: number }>(
        `SELECT attributes, value FROM counter WHERE name = 'ocserv.events.dropped_total'`,
      )
      .map(({ attributes, value }) => [JSON.parse(attributes).type, value]),
  );

describe('past max_pending', () => {
  test('the oldest connects and updates go, of whatever session, and are told and counted by their type', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { u1: updateOf('1'), c2: connectOf('2'), c3: connectOf('3') });
      assert.deepEqual(enqueue(tx, connectOf('4'), { maxPending: 3, id: 'c4' }), { update: 1 });
      assert.deepEqual(enqueue(tx, endOf('5'), { maxPending: 3, id: 'd5' }), { connect: 1 });
      assert.deepEqual(idsIn(tx), ['c3', 'c4', 'd5']);
      assert.deepEqual(droppedTotal(tx), { update: 1, connect: 1 });
      assert.equal(pendingCount(tx), 3);
    });
  });

  test('nothing goes up to it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      for (const id of ['1', '2', '3'])
        assert.deepEqual(enqueue(tx, connectOf(id), { maxPending: 3, id }), {});
      assert.deepEqual([idsIn(tx), droppedTotal(tx)], [['1', '2', '3'], {}]);
    });
  });

  test('an update that takes the place of an older one is no excess', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), u1: updateOf('1') });
      assert.deepEqual(enqueue(tx, updateOf('1'), { maxPending: 2, id: 'newer' }), {});
      assert.deepEqual(idsIn(tx), ['c1', 'newer']);
    });
  });

  test('disconnects never go, and then not even a new connect gets in', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { d1: endOf('1'), d2: endOf('2') }, 1);
      assert.deepEqual(enqueue(tx, connectOf('3'), { maxPending: 1, id: 'c3' }), { connect: 1 });
      assert.deepEqual(enqueue(tx, endOf('4'), { maxPending: 1, id: 'd4' }), {});
      assert.deepEqual(idsIn(tx), ['d1', 'd2', 'd4']);
      assert.deepEqual(droppedTotal(tx), { connect: 1 });
    });
  });

  test('what is set aside neither counts as pending nor goes', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), c2: connectOf('2') });
      setAsideEvent(tx, find(tx, 'c1'), 'INVALID_ARGUMENT: no');
      assert.deepEqual(enqueue(tx, connectOf('3'), { maxPending: 2, id: 'c3' }), {});
      assert.deepEqual(enqueue(tx, connectOf('4'), { maxPending: 2, id: 'c4' }), { connect: 1 });
      assert.deepEqual(idsIn(tx), ['c1', 'c3', 'c4']);
    });
  });

  test('one hook removes a hundred at most where the bound was lowered, and the next ones go on', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      for (let n = 0; n < 250; n++) put(tx, { [`c${n}`]: connectOf(String(n)) });
      const counts = ['a', 'b', 'c'].map((id) => enqueue(tx, endOf(id), { maxPending: 10, id }));
      assert.deepEqual(counts, [{ connect: 100 }, { connect: 100 }, { connect: 43 }]);
      assert.equal(pendingCount(tx), 10);
      assert.deepEqual(idsIn(tx).slice(0, 2), ['c243', 'c244']);
      assert.deepEqual(droppedTotal(tx), { connect: 243 });
    });
  });
});

describe('dropping by hand', () => {
  test('removes any event, a disconnect too, and counts each once', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1'), d2: endOf('2') });
      setAsideEvent(tx, find(tx, 'd2'), 'no');
      const events = ['d1', 'd2'].map((id) => ({ seq: find(tx, id).seq, id, type: 'disconnect' as const }));
      assert.deepEqual(drop(tx, events), { disconnect: 2 });
      assert.deepEqual(drop(tx, events), {}, 'they are gone');
      assert.deepEqual([idsIn(tx), pendingCount(tx), droppedTotal(tx)], [['c1'], 1, { disconnect: 2 }]);
      assert.deepEqual(listFailed(tx, 10), []);
    });
  });
});
