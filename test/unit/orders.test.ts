import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  dueOrders,
  forgetOrderWaits,
  markForced,
  orderCount,
  orderDone,
  orderSessionOut,
  orderUserOut,
  postponeOrder,
} from '../../src/state/orders.ts';
import { endSession } from '../../src/state/session-end.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { begin, END } from './session-rows.ts';

const LONGEST = 300_000;
const USER_OUT = { username: 'alice', exceptOcservId: '9', reason: 'ADMIN_FORCED', detail: 'away' } as const;
const SESSION_OUT = {
  username: 'alice',
  sessionId: '1-1',
  reason: 'POLICY_VIOLATION',
  detail: `"';--\u2028💥`,
} as const;
const due = (tx: Transaction) => dueOrders(tx, LONGEST);

describe('an order to end sessions', () => {
  test('is kept as it was given, until it is done', async (t) => {
    const on = await ledger(t);
    on(at(7), (tx) => {
      orderUserOut(tx, USER_OUT);
      orderSessionOut(tx, SESSION_OUT);
    });
    on(at(8), (tx) => {
      const [user, session] = due(tx);
      assert.deepEqual(user, {
        ...USER_OUT,
        id: 1,
        sessionId: null,
        at: at(7).wall,
        attempts: 0,
      });
      assert.deepEqual(session, { ...SESSION_OUT, id: 2, exceptOcservId: '', at: at(7).wall, attempts: 0 });
      assert.ok(user);
      orderDone(tx, user);
      assert.deepEqual([due(tx).map(({ id }) => id), orderCount(tx)], [[2], 1]);
    });
  });

  test('of a user takes the place of his earlier one, and of no other user’s or session’s', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      orderUserOut(tx, USER_OUT);
      orderUserOut(tx, { ...USER_OUT, username: 'bob' });
      orderSessionOut(tx, SESSION_OUT);
    });
    on(at(5), (tx) => {
      orderUserOut(tx, { ...USER_OUT, exceptOcservId: '10' });
      const seen = due(tx).map(({ username, sessionId, exceptOcservId, at }) => [
        username,
        sessionId,
        exceptOcservId,
        at,
      ]);
      assert.deepEqual(seen, [
        ['bob', null, '9', at(0).wall],
        ['alice', '1-1', '', at(0).wall],
        ['alice', null, '10', at(5).wall],
      ]);
    });
  });

  test('of a session takes the place of its earlier one only', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      orderSessionOut(tx, SESSION_OUT);
      orderSessionOut(tx, { ...SESSION_OUT, sessionId: '2-2' });
      orderUserOut(tx, USER_OUT);
      orderSessionOut(tx, { ...SESSION_OUT, detail: 'newer' });
      assert.deepEqual(
        due(tx).map(({ sessionId, detail }) => [sessionId, detail]),
        [
          ['2-2', SESSION_OUT.detail],
          [null, 'away'],
          ['1-1', 'newer'],
        ],
      );
    });
  });

  test('that replaced one being carried out stays when that one is done', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      orderUserOut(tx, USER_OUT);
      const [carried] = due(tx);
      assert.ok(carried);
      orderUserOut(tx, { ...USER_OUT, detail: 'newer' });
      orderDone(tx, carried);
      assert.deepEqual(
        due(tx).map(({ detail }) => detail),
        ['newer'],
      );
    });
  });

  test('that could not be carried out waits, and counts its tries', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      orderSessionOut(tx, SESSION_OUT);
      for (const order of due(tx)) postponeOrder(tx, order, 1_000);
      assert.deepEqual(due(tx), []);
    });
    assert.deepEqual(on(at(999), due), []);
    assert.partialDeepStrictEqual(on(at(1_000), due), [{ sessionId: '1-1', attempts: 1 }]);
    on(at(0), forgetOrderWaits);
    assert.equal(on(at(0), due).length, 1, 'a person asked for it');
  });

  test('does not wait longer than any wait is, though the clock was set back', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      orderSessionOut(tx, SESSION_OUT);
      for (const order of due(tx)) postponeOrder(tx, order, LONGEST);
      assert.deepEqual(due(tx), []);
    });
    assert.equal(on(at(-1), due).length, 1);
  });
});

describe('a session that is being ended by an order', () => {
  const reasons = (tx: Transaction) =>
    tx
      .rows<{ end_reason: string | null }>('SELECT end_reason FROM session ORDER BY id')
      .map((row) => row.end_reason);

  test('is marked with the reason, and no other is', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      begin(tx, { ocservId: '2' });
      begin(tx, { username: 'bob' });
      markForced(tx, { ocservId: '14304', username: 'alice' }, 'POLICY_VIOLATION');
      assert.deepEqual(reasons(tx), ['POLICY_VIOLATION', null, null]);
    });
  });

  test('is not marked any more when ocserv did not end it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      markForced(tx, { ocservId: '14304', username: 'alice' }, 'POLICY_VIOLATION');
      markForced(tx, { ocservId: '14304', username: 'alice' }, null);
      assert.deepEqual(reasons(tx), [null]);
    });
  });

  test('keeps the reason that it ended with, when one of the same ID is marked', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      endSession(tx, END);
      begin(tx, { sessionId: 'next' });
      markForced(tx, { ocservId: '14304', username: 'alice' }, 'ADMIN_FORCED');
      assert.deepEqual(reasons(tx), ['UNSPECIFIED', 'ADMIN_FORCED']);
    });
  });
});
