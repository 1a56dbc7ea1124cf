import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Instant } from '../../src/resilience/instant.ts';
import { missing, serverIsDead } from '../../src/sessions/reconcile.ts';
import { liveSessions, noteSeen } from '../../src/state/live-sessions.ts';
import { listEvents } from '../../src/state/outbox-list.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger, settings } from './fixture.ts';
import { begin, SESSION } from './session-rows.ts';

const CONFIG = settings();
const SILENT = settings({ events: { enabled: false } });
const HOUR = 3_600_000;
const MINUTE = 60_000;

const TRAFFIC = { bytesIn: 2n ** 64n - 1n, bytesOut: 2n, packetsIn: 3n, packetsOut: 4n };

/** A good list of occtl's without the one session there is. @returns whether it was closed for it. */
const look = (tx: Transaction, config = CONFIG) =>
  liveSessions(tx).some((session) => missing(tx, session, config));
const events = (tx: Transaction) => listEvents(tx, { limit: 9 });
const set = (now: Instant, by: number): Instant => ({ ...now, wall: now.wall + by });

describe('a session that ocserv does not list any more', () => {
  test('is closed by the second look, a minute after the first, and not by one before', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    assert.equal(on(at(HOUR), look), false);
    assert.equal(on(at(HOUR), look), false);
    assert.equal(on(at(HOUR + MINUTE - 1), look), false);
    assert.equal(on(at(HOUR + MINUTE), look), true);
    assert.deepEqual(on(at(HOUR + MINUTE), liveSessions), []);
  });

  test('is told to the portal as a lost connection, when it was missed first, with the last that was seen', async (t) => {
    const on = await ledger(t);
    const id = on(at(0), (tx) => {
      begin(tx);
      const [session] = liveSessions(tx);
      assert.ok(session);
      noteSeen(tx, session, TRAFFIC);
      return session.endEventId;
    });
    on(at(HOUR), look);
    on(at(2 * HOUR), look);
    const [queued, ...others] = on(at(2 * HOUR), events);
    assert.deepEqual(others, []);
    assert.equal(queued?.id, id, 'under the id of its end');
    assert.deepEqual(queued?.event, {
      type: 'disconnect',
      sessionId: SESSION.sessionId,
      username: 'alice',
      vhost: null,
      at: at(HOUR).wall,
      reason: 'CONNECTION_ERROR',
      stats: {
        durationSeconds: '3600',
        bytesReceived: '18446744073709551615',
        bytesSent: '2',
        packetsReceived: '3',
        packetsSent: '4',
      },
      metadata: { reconciled: 'not in two lists of occtl' },
    });
  });

  test('begins anew when it was listed in between', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    on(at(HOUR), look);
    on(at(HOUR + 1), (tx) => {
      for (const session of liveSessions(tx)) noteSeen(tx, session, TRAFFIC);
    });
    assert.equal(on(at(2 * HOUR), look), false);
    assert.equal(on(at(2 * HOUR + MINUTE), look), true);
  });

  test('is not closed by setting the clock, whichever of the two runs ahead', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    on(at(HOUR), look);
    assert.equal(on(set(at(HOUR + 1_000), HOUR), look), false, 'the wall clock was set forward');
    assert.equal(on(set(at(2 * HOUR), -HOUR), look), false, 'and back');
    assert.equal(on(set(at(2 * HOUR), -HOUR + MINUTE), look), true);
  });

  test('is closed after a reboot by the wall clock, the only one that can be compared', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    on(at(HOUR), look);
    assert.equal(on({ wall: at(HOUR + MINUTE - 1).wall, boot: 'boot-2', mono: 1 }, look), false);
    assert.equal(on({ wall: at(HOUR + MINUTE).wall, boot: 'boot-2', mono: 2 }, look), true);
  });

  test('is closed without a word where nothing is reported', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    on(at(HOUR), (tx) => look(tx, SILENT));
    assert.equal(
      on(at(2 * HOUR), (tx) => look(tx, SILENT)),
      true,
    );
    assert.deepEqual(on(at(2 * HOUR), events), []);
  });
});

describe('while nobody answers for ocserv', () => {
  const dead = (since: Instant) => (tx: Transaction) =>
    liveSessions(tx).some((session) => serverIsDead(tx, session, since, CONFIG));

  test('a session is closed after a minute, as ended when that began', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    assert.equal(on(at(HOUR), dead(at(HOUR))), false);
    assert.equal(on(at(HOUR + MINUTE - 1), dead(at(HOUR))), false);
    assert.equal(on(at(HOUR + MINUTE), dead(at(HOUR))), true);
    const [queued] = on(at(HOUR), events);
    assert.partialDeepStrictEqual(queued?.event, {
      at: at(HOUR).wall,
      reason: 'CONNECTION_ERROR',
      metadata: { reconciled: 'ocserv is gone' },
    });
  });

  test('one that began since then is left alone: it shows that ocserv lives', async (t) => {
    const on = await ledger(t);
    on(at(1), (tx) => begin(tx));
    assert.equal(on(at(HOUR), dead(at(0))), false);
    assert.equal(on(at(HOUR), dead(at(1))), true);
  });

  test('setting the clock closes none', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => begin(tx));
    assert.equal(on(set(at(HOUR + 1_000), HOUR), dead(at(HOUR))), false);
    assert.equal(on(set(at(2 * HOUR), -2 * HOUR), dead(at(HOUR))), false);
  });
});
