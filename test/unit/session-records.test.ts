import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setAsideEvent } from '../../src/state/outbox.ts';
import { endSession } from '../../src/state/session-end.ts';
import {
  connectedAtOf,
  keepUpdatedRoutes,
  listSessions,
  ocservIdOf,
  removeOldSessions,
  type SessionFilter,
} from '../../src/state/session-records.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { connectOf, endOf, find, put } from './session-events.ts';
import { begin, END, SESSION } from './session-rows.ts';

const ids = (tx: Transaction, filter: Partial<SessionFilter> = {}) =>
  listSessions(tx, { limit: 100, ...filter }).map(({ sessionId }) => sessionId);

function ended(tx: Transaction, ocservId: string): void {
  begin(tx, { ocservId, sessionId: `${ocservId}-1` });
  endSession(tx, { ...END, ocservId, durationSeconds: '0' });
}

describe('the sessions on record', () => {
  test('are listed the latest first: those that are live, or all, of all users or of one', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx, { sessionId: 'a' });
      ended(tx, '2');
      begin(tx, { sessionId: 'c', username: 'bob', ocservId: '3' });
      assert.deepEqual(ids(tx), ['c', 'a']);
      assert.deepEqual(ids(tx, { all: true }), ['c', '2-1', 'a']);
      assert.deepEqual(ids(tx, { all: true, username: 'alice' }), ['2-1', 'a']);
      assert.deepEqual(ids(tx, { username: `bob' OR 1=1` }), []);
      assert.deepEqual(ids(tx, { all: true, limit: 2 }), ['c', '2-1']);
    });
  });

  test('tell all that is known of a session', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx, { routes: ['10.0.0.0/8'], dnsServers: ['10.0.0.53'] }));
    const [live] = on(at(1), (tx) => listSessions(tx, { limit: 1 }));
    const { connectedAt: _, vhostNamed: __, ...begun } = SESSION;
    assert.deepEqual(live, {
      ...begun,
      dnsServers: ['10.0.0.53'],
      connectedAt: at(0).wall,
      seenAt: null,
      endedAt: null,
      endReason: null,
      bytesIn: null,
      bytesOut: null,
      durationSeconds: null,
      updatedRoutes: null,
    });
  });

  test('tell of a live one what was seen last, and of an ended one the final figures', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      tx.write(`UPDATE session SET seen_bytes_in = '5', seen_bytes_out = '6', seen_wall = 7`);
    });
    const now = () => on(at(0), (tx) => listSessions(tx, { limit: 1, all: true }))[0];
    assert.partialDeepStrictEqual(now(), { bytesIn: '5', bytesOut: '6', seenAt: 7 });
    on(at(9), (tx) => endSession(tx, { ...END, bytesIn: '18446744073709551615', bytesOut: null }));
    assert.partialDeepStrictEqual(now(), {
      bytesIn: '18446744073709551615',
      bytesOut: null,
      durationSeconds: '3600',
      endedAt: at(9).wall,
      endReason: 'UNSPECIFIED',
    });
  });

  test('keep the routes that the portal answered a connect with, even when it has ended since', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      ended(tx, '1');
      ended(tx, '2');
      keepUpdatedRoutes(tx, '1-1', ['10.9.0.0/16']);
      const routes = listSessions(tx, { limit: 9, all: true }).map((one) => one.updatedRoutes);
      assert.deepEqual(routes, [null, ['10.9.0.0/16']]);
    });
  });
});

describe('a live session', () => {
  test("is found by its id, and its connect by ocserv's ID and its user, as long as it lives", async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx, { sessionId: 'a' }));
    on(at(5), (tx) => {
      begin(tx, { sessionId: 'b' });
      assert.deepEqual([ocservIdOf(tx, 'a'), ocservIdOf(tx, 'x')], ['14304', undefined]);
      assert.equal(connectedAtOf(tx, '14304', 'alice'), at(5).wall, 'the newest of that ID');
      assert.equal(connectedAtOf(tx, '14304', 'bob'), undefined);
      endSession(tx, { ...END, durationSeconds: '0' });
      assert.deepEqual([ocservIdOf(tx, 'b'), connectedAtOf(tx, '14304', 'alice')], [undefined, at(0).wall]);
    });
  });
});

describe('retention', () => {
  test('removes sessions that ended before a moment, so many at once, and no live one', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx, { sessionId: 'live', ocservId: '9' });
      for (const id of ['1', '2', '3']) ended(tx, id);
    });
    on(at(10), (tx) => ended(tx, '4'));
    on(at(99), (tx) => {
      assert.equal(removeOldSessions(tx, at(0).wall, 100), 0, 'not before');
      assert.equal(removeOldSessions(tx, at(10).wall, 2), 2);
      assert.equal(removeOldSessions(tx, at(10).wall, 2), 1);
      assert.equal(removeOldSessions(tx, at(10).wall, 2), 0);
      assert.deepEqual(ids(tx, { all: true }), ['4-1', 'live']);
    });
  });

  test('keeps those of which the portal has not all: events that wait, and events set aside', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      for (const id of ['1', '2', '3']) ended(tx, id);
      put(tx, { waits: endOf('1-1'), failed: connectOf('2-1') });
      setAsideEvent(tx, find(tx, 'failed'), 'bad');
      assert.equal(removeOldSessions(tx, at(1).wall, 100), 1);
      assert.deepEqual(ids(tx, { all: true }), ['2-1', '1-1']);
      tx.write('DELETE FROM event');
      assert.equal(removeOldSessions(tx, at(1).wall, 100), 2);
    });
  });
});
