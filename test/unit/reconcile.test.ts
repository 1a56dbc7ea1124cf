import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Listed } from '../../src/ocserv/occtl.ts';
import { recordOf, reportLive } from '../../src/sessions/reconcile.ts';
import { type LiveSession, liveSessions, type Traffic } from '../../src/state/live-sessions.ts';
import { listEvents } from '../../src/state/outbox-list.ts';
import { listSessions } from '../../src/state/session-records.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger, settings } from './fixture.ts';
import { begin, LISTED, SESSION } from './session-rows.ts';

const CONFIG = settings();
const SILENT = settings({ events: { enabled: false } });
const MINUTE = 60_000;

const events = (tx: Transaction) => listEvents(tx, { limit: 100 }).map(({ event }) => event);

describe('the record of a session that ocserv has', () => {
  const record = (more: Partial<LiveSession> = {}): LiveSession => ({
    id: 1,
    sessionId: 'a',
    ocservId: '14304',
    vhost: 'default',
    vhostForPortal: null,
    username: 'alice',
    clientIp: '192.0.2.1',
    connectedAt: at(0).wall,
    traffic: { bytesIn: null, bytesOut: null, packetsIn: null, packetsOut: null },
    missingSince: null,
    endEventId: null,
    endReason: null,
    ...more,
  });
  const found = (listed: Partial<Listed>, ...records: LiveSession[]) =>
    recordOf(
      { ...LISTED, ...listed },
      // As the state gives it: the newest under the ID.
      records.findLast(({ ocservId }) => ocservId === (listed.id ?? LISTED.id)),
    )?.sessionId;

  test('is the one under its ID and its name', () => {
    const other = record({ ocservId: '2', sessionId: 'b' });
    assert.equal(found({}, record(), other), 'a');
    assert.equal(found({ id: '3' }, record(), other), undefined);
    assert.equal(found({ username: 'bob' }, record(), other), undefined);
    assert.equal(found({}), undefined);
  });

  test('is the newest one, since IDs recur', () => {
    assert.equal(found({}, record(), record({ sessionId: 'newest' })), 'newest');
    assert.equal(found({}, record(), record({ username: 'bob' })), undefined, 'the ID was his since then');
  });

  test('is not of one that began long before, of the same user even', () => {
    assert.equal(found({ connectedAt: at(5 * MINUTE).wall }, record()), 'a');
    assert.equal(found({ connectedAt: at(5 * MINUTE + 1).wall }, record()), undefined);
  });

  test('is found where occtl tells no time, or only the minute before', () => {
    assert.equal(found({ connectedAt: null }, record()), 'a');
    assert.equal(found({ connectedAt: at(-MINUTE).wall }, record()), 'a');
  });

  test('is found under a name that occtl cannot print', () => {
    assert.equal(found({ username: '\xff\xffric' }, record({ username: 'Éric' })), 'a');
  });
});

describe('a live session', () => {
  const measured = (bytesIn: bigint | null, bytesOut: bigint | null): Traffic => ({
    bytesIn,
    bytesOut,
    packetsIn: 1n,
    packetsOut: 2n,
  });
  const report = (tx: Transaction, traffic: Traffic, config = CONFIG) => {
    for (const session of liveSessions(tx)) reportLive(tx, session, traffic, config);
  };

  test('is reported with its traffic so far, and the newest report takes the place of the last', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx, { vhost: 'branch', vhostNamed: true }));
    on(at(1_000), (tx) => report(tx, measured(5n, 6n)));
    on(at(61_999), (tx) => report(tx, measured(2n ** 64n - 1n, 7n)));
    assert.deepEqual(on(at(61_999), events), [
      {
        type: 'update',
        sessionId: SESSION.sessionId,
        username: 'alice',
        vhost: 'branch',
        at: at(61_999).wall,
        stats: {
          durationSeconds: '61',
          bytesReceived: '18446744073709551615',
          bytesSent: '7',
          packetsReceived: '1',
          packetsSent: '2',
        },
        status: 'ACTIVE',
      },
    ]);
  });

  test('never has less traffic than before, whatever is measured', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      report(tx, measured(100n, 200n));
      report(tx, measured(50n, null));
    });
    const [event] = on(at(0), events);
    assert.ok(event?.type === 'update');
    assert.partialDeepStrictEqual(event.stats, { bytesReceived: '100', bytesSent: '200' });
    assert.equal(on(at(0), liveSessions)[0]?.traffic.bytesOut, 200n);
  });

  test('is idle where nothing went through since the report before, and active at the first one', async (t) => {
    const on = await ledger(t);
    const status = (traffic: Traffic) =>
      on(at(0), (tx) => {
        report(tx, traffic);
        const [event] = events(tx);
        return event?.type === 'update' && event.status;
      });
    on(at(0), (tx) => begin(tx));
    assert.equal(status(measured(0n, 0n)), 'ACTIVE');
    assert.equal(status(measured(0n, 0n)), 'IDLE');
    assert.equal(status(measured(0n, 1n)), 'ACTIVE');
    assert.equal(status(measured(1n, 1n)), 'ACTIVE');
    assert.equal(status(measured(1n, 1n)), 'IDLE');
  });

  test('is not called idle where nobody can tell', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      for (let n = 0; n < 2; n++) report(tx, measured(null, null));
      assert.partialDeepStrictEqual(events(tx), [{ status: 'ACTIVE' }]);
    });
  });

  test('is kept without a report, where nothing is reported', async (t) => {
    const on = await ledger(t);
    on(at(7), (tx) => {
      begin(tx);
      report(tx, measured(5n, 6n), SILENT);
      assert.deepEqual(events(tx), []);
      assert.partialDeepStrictEqual(listSessions(tx, { limit: 1 }), [{ seenAt: at(7).wall, bytesIn: '5' }]);
    });
  });
});
