import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { delivered, enqueue, lastSeq, nextDue, noteTry, pendingCount } from '../../src/state/outbox.ts';
import { findEvent, listEvents } from '../../src/state/outbox-list.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { connectOf, endOf, find, idsIn, PLENTY, put, updateOf } from './session-events.ts';

const due = (tx: Transaction, busy: string[] = [], limit = 10) =>
  nextDue(tx, busy, limit).map(({ id }) => id);
const counted = (tx: Transaction) =>
  tx.rows<{ name: string; attributes: string; value: number }>(
    `SELECT * FROM counter WHERE name LIKE 'ocserv.events.%' ORDER BY name, attributes`,
  );

describe('an event in the outbox', () => {
  test('is found as it was when it happened, with what has become of it', async (t) => {
    const on = await ledger(t);
    const events = {
      c: connectOf('14304-1', { vhost: 'branch', metadata: { user_agent: 'v9', source: 'stale' } }),
      d: endOf('14304-1', { reason: 'SERVER_SHUTDOWN' }),
      u: updateOf('2-2', { status: 'IDLE', at: 5 }),
    };
    on(at(0), (tx) => put(tx, events));
    on(at(0), (tx) => {
      for (const [id, event] of Object.entries(events)) {
        assert.deepEqual(findEvent(tx, id), {
          seq: Object.keys(events).indexOf(id) + 1,
          id,
          event,
          attempts: 0,
          lastError: null,
          retryAt: 0,
          failedAt: null,
        });
      }
      assert.equal(findEvent(tx, 'x'), undefined);
    });
  });

  test('gets an id of its own, a UUIDv7 of the moment', async (t) => {
    const on = await ledger(t);
    const ids = on(at(3), (tx) => {
      for (const id of ['1', '2']) enqueue(tx, connectOf(id), { maxPending: PLENTY });
      return idsIn(tx);
    });
    assert.equal(new Set(ids).size, 2);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/);
  });

  test('cannot be there twice under one id: the portal would take the second for a repeat', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => put(tx, { same: connectOf('1') }));
    assert.throws(() => on(at(0), (tx) => put(tx, { same: endOf('2') })), {
      code: 'SQLITE_CONSTRAINT_UNIQUE',
    });
    assert.deepEqual(on(at(0), idsIn), ['same']);
  });

  test('is not there where the state can only be read, and nothing is dropped for it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => put(tx, { old: connectOf('1') }));
    const dropped = on(at(0), (tx) => enqueue(tx, connectOf('2'), { maxPending: 1 }), false);
    assert.deepEqual([dropped, on(at(0), idsIn)], [{}, ['old']]);
  });

  test('may be of anybody: hostile names are text, and only text', async (t) => {
    const on = await ledger(t);
    const hostile = [
      `'; DROP TABLE event; --`,
      '["1"]',
      '"',
      '\\',
      '\u2028💥\n\x1b[31m',
      '%',
      '',
      '$.x',
      'null',
    ];
    on(at(0), (tx) => {
      for (const name of hostile) {
        put(tx, {
          [`c ${name}`]: connectOf(name, { username: name, vhost: name, metadata: { [name]: name } }),
          [`d ${name}`]: endOf(name, { username: name }),
        });
      }
    });
    on(at(0), (tx) => {
      const found = nextDue(tx, [], PLENTY);
      assert.deepEqual(
        found.map(({ event }) => [event.type, event.sessionId, event.username, event.vhost]),
        hostile.map((name) => ['connect', name, name, name]),
      );
      assert.deepEqual(
        found.map(({ event }) => event.type === 'connect' && event.metadata),
        hostile.map((name) => ({ [name]: name })),
      );
      for (const name of hostile) {
        assert.equal(due(tx, [name], PLENTY).includes(`c ${name}`), false, 'a busy session is left alone');
        assert.equal(listEvents(tx, { username: name, limit: PLENTY }).length, 2, name);
      }
      assert.deepEqual(due(tx, hostile, PLENTY), []);
    });
  });
});

describe('what may be sent', () => {
  test('is the first event of each session, the oldest first', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), c2: connectOf('2'), d1: endOf('1'), c3: connectOf('3'), d2: endOf('2') });
      assert.deepEqual(due(tx), ['c1', 'c2', 'c3']);
      assert.deepEqual(due(tx, [], 2), ['c1', 'c2']);
      assert.deepEqual(due(tx, [], 0), []);
    });
  });

  test('is nothing of a session of which one is on its way', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), c2: connectOf('2'), d1: endOf('1') });
      assert.deepEqual(due(tx, ['1']), ['c2']);
      assert.deepEqual(due(tx, ['1', '2']), []);
    });
  });

  test('is the next of the session once the one before is delivered, and gone', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1') });
      delivered(tx, find(tx, 'c1'));
      assert.deepEqual([due(tx), idsIn(tx), pendingCount(tx)], [['d1'], ['d1'], 1]);
      delivered(tx, find(tx, 'd1'));
      assert.deepEqual([due(tx), idsIn(tx), pendingCount(tx)], [[], [], 0]);
      assert.deepEqual(counted(tx), [
        { name: 'ocserv.events.delivered_total', attributes: '{"type":"connect"}', value: 1 },
        { name: 'ocserv.events.delivered_total', attributes: '{"type":"disconnect"}', value: 1 },
      ]);
    });
  });

  test('is still the same at once, when a call did not reach the portal', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), d1: endOf('1') });
      noteTry(tx, find(tx, 'c1'), 'UNAVAILABLE: away');
      assert.deepEqual(due(tx), ['c1']);
      const { attempts, lastError, retryAt } = find(tx, 'c1');
      assert.deepEqual([attempts, lastError, retryAt], [1, 'UNAVAILABLE: away', 0]);
    });
  });
});

describe('an update', () => {
  test('takes the place of an older one of its own session only', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), u1: updateOf('1'), u2: updateOf('2'), newer: updateOf('1') });
      assert.deepEqual(idsIn(tx), ['c1', 'u2', 'newer']);
      assert.equal(pendingCount(tx), 3);
    });
  });

  test('is made void by the end of its session, which has the final figures, and by no other', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { c1: connectOf('1'), u1: updateOf('1'), u2: updateOf('2'), d1: endOf('1') });
      assert.deepEqual(idsIn(tx), ['c1', 'u2', 'd1']);
    });
  });

  test('that was replaced is not counted, neither as dropped nor, if it arrives after all, as delivered', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { u1: updateOf('1') });
      const [onItsWay] = nextDue(tx, [], 1);
      assert.ok(onItsWay);
      put(tx, { newer: updateOf('1') });
      delivered(tx, onItsWay);
      assert.deepEqual([idsIn(tx), pendingCount(tx), counted(tx)], [['newer'], 1, []]);
    });
  });

  test('does not get the number of one that is on its way: its answer would remove another', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      put(tx, { u1: updateOf('1') });
      const before = lastSeq(tx);
      put(tx, { newer: updateOf('1') });
      assert.ok(lastSeq(tx) > before);
    });
  });
});
