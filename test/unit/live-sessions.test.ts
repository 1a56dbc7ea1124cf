import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  closeLost,
  type LiveSession,
  liveSessions,
  noteMissing,
  noteSeen,
  seenTraffic,
  statsOf,
  type Traffic,
} from '../../src/state/live-sessions.ts';
import { markForced } from '../../src/state/orders.ts';
import { endSession } from '../../src/state/session-end.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { begin, END, SESSION } from './session-rows.ts';

const NOTHING: Traffic = { bytesIn: null, bytesOut: null, packetsIn: null, packetsOut: null };
const LARGEST = 2n ** 64n - 1n;

function only(tx: Transaction): LiveSession {
  const [session, ...others] = liveSessions(tx);
  assert.ok(session);
  assert.deepEqual(others, []);
  return session;
}

describe('the traffic of a live session', () => {
  const count = fc.option(fc.bigInt({ min: 0n, max: LARGEST }));
  const traffic = fc.record({ bytesIn: count, bytesOut: count, packetsIn: count, packetsOut: count });

  test('only ever grows, whoever told it last, and what was known stays known', () => {
    fc.assert(
      fc.property(fc.array(traffic, { maxLength: 8 }), (told) => {
        let seen = NOTHING;
        for (const now of told) {
          const before = seen;
          seen = seenTraffic(before, now);
          for (const key of ['bytesIn', 'bytesOut', 'packetsIn', 'packetsOut'] as const) {
            const known = [before[key], now[key]].filter((one) => one !== null);
            const largest = seen[key];
            if (known.length === 0) assert.equal(largest, null);
            else
              assert.ok(largest !== null && known.includes(largest) && known.every((one) => one <= largest));
          }
        }
      }),
    );
  });

  test('is kept exactly in 64 bits, and what is unknown as unknown', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    for (const traffic of [
      NOTHING,
      { bytesIn: LARGEST, bytesOut: 2n ** 53n + 1n, packetsIn: 0n, packetsOut: null },
    ]) {
      on(at(5), (tx) => noteSeen(tx, only(tx), traffic));
      assert.deepEqual(on(at(5), only).traffic, traffic);
    }
  });

  test('is 0 for the portal where it is unknown, with whole seconds, never less than 0', () => {
    const stats = { bytesReceived: '0', bytesSent: '0', packetsReceived: '0', packetsSent: '0' };
    assert.deepEqual(statsOf(NOTHING, 1_000, 4_999), { ...stats, durationSeconds: '3' });
    assert.deepEqual(
      statsOf(NOTHING, 1_000, 0),
      { ...stats, durationSeconds: '0' },
      'the clock was set back',
    );
    assert.deepEqual(statsOf({ bytesIn: LARGEST, bytesOut: 1n, packetsIn: 2n, packetsOut: 3n }, 0, 0), {
      durationSeconds: '0',
      bytesReceived: '18446744073709551615',
      bytesSent: '1',
      packetsReceived: '2',
      packetsSent: '3',
    });
  });
});

describe('the sessions that are live by our records', () => {
  test('are those that have not ended, in the order in which they began, as they were recorded', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      begin(tx, { ocservId: '2', sessionId: '2-2', vhost: 'branch', vhostNamed: true });
      begin(tx, { ocservId: '3', sessionId: '3-3' });
      endSession(tx, { ...END, durationSeconds: '0' });
    });
    const live = on(at(1), liveSessions);
    assert.deepEqual(
      live.map(({ sessionId }) => sessionId),
      ['2-2', '3-3'],
    );
    assert.partialDeepStrictEqual(live[0], {
      ocservId: '2',
      vhost: 'branch',
      vhostForPortal: 'branch',
      username: 'alice',
      clientIp: '192.0.2.1',
      connectedAt: at(0).wall,
      traffic: NOTHING,
      missingSince: null,
    });
    assert.equal(live[1]?.vhostForPortal, null, 'ocserv named none');
  });

  test('are missing since a moment by both clocks, until ocserv has them again', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    on(at(7), (tx) => noteMissing(tx, only(tx)));
    assert.deepEqual(on(at(9), only).missingSince, at(7));
    on(at(9), (tx) => noteSeen(tx, only(tx), NOTHING));
    assert.equal(on(at(9), only).missingSince, null);
  });
});

describe('a session of whose end nobody will ever tell', () => {
  test('is closed with the last that was known of it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx, { vhost: 'branch', vhostNamed: true });
      begin(tx, { ocservId: '2', sessionId: '2-2' });
    });
    const ended = on(at(100_000), (tx) => {
      const [session] = liveSessions(tx);
      assert.ok(session);
      noteSeen(tx, session, { bytesIn: LARGEST, bytesOut: 2n, packetsIn: 3n, packetsOut: null });
      const [seen] = liveSessions(tx);
      assert.ok(seen);
      return { ...closeLost(tx, seen, at(60_999).wall, 'gone'), id: seen.endEventId };
    });
    assert.deepEqual(ended, {
      sessionId: SESSION.sessionId,
      username: 'alice',
      vhost: 'branch',
      known: true,
      already: false,
      reason: 'CONNECTION_ERROR',
      stats: {
        durationSeconds: '60',
        bytesReceived: '18446744073709551615',
        bytesSent: '2',
        packetsReceived: '3',
        packetsSent: '0',
      },
      eventId: ended.id,
      metadata: { reconciled: 'gone' },
      at: at(60_999).wall,
      id: ended.id,
    });
    on(at(0), (tx) => {
      assert.deepEqual(
        liveSessions(tx).map(({ sessionId }) => sessionId),
        ['2-2'],
        'and no other is',
      );
      const row = tx.row(
        `SELECT ended_wall, bytes_in, bytes_out, duration_seconds, end_reason, end_event_id FROM session
         WHERE ended_wall IS NOT NULL`,
      );
      assert.deepEqual(row, {
        ended_wall: at(60_999).wall,
        bytes_in: '18446744073709551615',
        bytes_out: '2',
        duration_seconds: '60',
        end_reason: 'CONNECTION_ERROR',
        end_event_id: ended.eventId,
      });
    });
  });

  test('gets an event id where it was recorded before there were any', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      tx.write('UPDATE session SET end_event_id = NULL');
      const { eventId } = closeLost(tx, only(tx), tx.now.wall, 'gone');
      assert.match(eventId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      assert.deepEqual(tx.rows('SELECT end_event_id AS id FROM session'), [{ id: eventId }]);
    });
  });

  test('keeps the reason that we were ending it for: then we know better', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx);
      markForced(tx, { ocservId: '14304', username: 'alice' }, 'ADMIN_FORCED');
      assert.equal(closeLost(tx, only(tx), tx.now.wall, 'gone').reason, 'ADMIN_FORCED');
      assert.deepEqual(tx.rows('SELECT end_reason AS why FROM session'), [{ why: 'ADMIN_FORCED' }]);
    });
  });
});
