import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { closeLost, liveSessions } from '../../src/state/live-sessions.ts';
import { markForced } from '../../src/state/orders.ts';
import { endSession, type SessionEnd } from '../../src/state/session-end.ts';
import { at, ledger } from './fixture.ts';
import { begin, END, SESSION } from './session-rows.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;

async function record(t: TestContext) {
  const on = await ledger(t);
  return {
    on,
    end: (milliseconds: number, more: Partial<SessionEnd> = {}) =>
      on(at(milliseconds), (tx) => endSession(tx, { ...END, ...more })),
    /** ocserv seemed gone then. */
    lose: (milliseconds: number) =>
      on(at(milliseconds), (tx) => {
        const [session] = liveSessions(tx);
        assert.ok(session);
        return closeLost(tx, session, tx.now.wall, 'gone');
      }),
    rows: () => on(at(0), (tx) => tx.rows<Record<string, unknown>>('SELECT * FROM session ORDER BY id')),
  };
}

describe('the event id of an end', () => {
  test('is made at the beginning, and the same whoever reports the end: the portal books it once', async (t) => {
    const byHook = await record(t);
    byHook.on(at(0), (tx) => begin(tx));
    const id = byHook.rows()[0]?.['end_event_id'];
    assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.equal(byHook.end(HOUR).eventId, id);

    const bySync = await record(t);
    bySync.on(at(0), (tx) => begin(tx));
    const other = bySync.rows()[0]?.['end_event_id'];
    assert.equal(bySync.lose(HOUR).eventId, other);
    assert.notEqual(other, id);
  });

  test('is a new one where the beginning is not on record, and is on record then', async (t) => {
    const { end, rows } = await record(t);
    const { eventId } = end(HOUR);
    assert.match(eventId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.equal(rows()[0]?.['end_event_id'], eventId);
    assert.notEqual(end(HOUR).eventId, eventId);
  });
});

describe('why a session ended', () => {
  test('is what the hook knows', async (t) => {
    const { on, end, rows } = await record(t);
    on(at(0), (tx) => begin(tx));
    assert.equal(end(HOUR, { reason: 'SERVER_SHUTDOWN' }).reason, 'SERVER_SHUTDOWN');
    assert.equal(end(HOUR, { ocservId: '2', reason: 'SERVER_SHUTDOWN' }).reason, 'SERVER_SHUTDOWN');
    assert.deepEqual(
      rows().map((row) => row['end_reason']),
      ['SERVER_SHUTDOWN', 'SERVER_SHUTDOWN'],
    );
  });

  test('is that we forced it, where we did: that goes before what the hook sees', async (t) => {
    const { on, end, rows } = await record(t);
    on(at(0), (tx) => {
      begin(tx);
      begin(tx, { ocservId: '2', sessionId: 'second' });
      markForced(tx, { ocservId: '14304', username: 'alice' }, 'CERTIFICATE_REVOKED');
    });
    assert.equal(end(HOUR, { reason: 'SERVER_SHUTDOWN' }).reason, 'CERTIFICATE_REVOKED');
    assert.equal(end(HOUR, { ocservId: '2' }).reason, 'UNSPECIFIED', 'and no other session is');
    assert.deepEqual(
      rows().map((row) => row['end_reason']),
      ['CERTIFICATE_REVOKED', 'UNSPECIFIED'],
    );
  });

  test('decides whose counts are booked: the last seen ones when the server goes down with 0 for all', async (t) => {
    const { on, end, rows } = await record(t);
    on(at(0), (tx) => begin(tx));
    on(at(0), (tx) =>
      tx.write(`UPDATE session SET seen_bytes_in = '18446744073709551615', seen_bytes_out = '7'`),
    );
    const { stats, metadata } = end(HOUR, { reason: 'SERVER_SHUTDOWN', bytesIn: '0', bytesOut: '0' });
    assert.partialDeepStrictEqual(stats, { bytesReceived: '18446744073709551615', bytesSent: '7' });
    assert.equal(metadata['stats_source'], 'kernel');
    assert.deepEqual([rows()[0]?.['bytes_in'], rows()[0]?.['bytes_out']], ['18446744073709551615', '7']);
  });
});

describe('an end that is told again, after a try that was killed', () => {
  test('is not recorded twice: it has the session and the event id of the first', async (t) => {
    const { on, end, rows } = await record(t);
    on(at(0), (tx) => begin(tx));
    const first = end(HOUR);
    const second = end(HOUR + MINUTE, { again: true });
    assert.deepEqual([first.already, second.already], [false, true]);
    assert.deepEqual([second.eventId, second.sessionId], [first.eventId, first.sessionId]);
    assert.equal(rows().length, 1);
  });

  test('is not recorded twice where there was no beginning either', async (t) => {
    const { end, rows } = await record(t);
    const first = end(HOUR);
    const second = end(HOUR + MINUTE, { again: true });
    assert.deepEqual(
      [second.already, second.eventId, second.sessionId],
      [true, first.eventId, first.sessionId],
    );
    assert.equal(rows().length, 1);
  });

  test('is recorded where the first try did not come to that', async (t) => {
    const { on, end } = await record(t);
    on(at(0), (tx) => begin(tx));
    assert.partialDeepStrictEqual(end(HOUR, { again: true }), { already: false, known: true });
  });

  test('is recorded where what is on record is the end of another session', async (t) => {
    for (const other of [
      { durationSeconds: '3599' },
      { username: 'bob' },
      { vhost: 'branch' },
      { ocservId: '2' },
    ] satisfies Partial<SessionEnd>[]) {
      const { end, rows } = await record(t);
      end(HOUR);
      assert.equal(end(HOUR, { ...other, again: true }).already, false, JSON.stringify(other));
      assert.equal(rows().length, 2);
    }
  });

  test('is recorded where the one on record is too old to be of the same call', async (t) => {
    const { end } = await record(t);
    end(HOUR);
    assert.equal(end(HOUR + 5 * MINUTE - 1, { again: true }).already, true);
    assert.equal(end(HOUR + 5 * MINUTE, { again: true }).already, false);
  });
});

describe('a session that was taken for lost, and ended later', () => {
  test('is corrected, under a new event id that names the old one: the portal would drop a repeat', async (t) => {
    const { on, lose, end, rows } = await record(t);
    on(at(0), (tx) => begin(tx));
    const lost = lose(10 * MINUTE);
    assert.equal(lost.reason, 'CONNECTION_ERROR');
    const ended = end(HOUR, { bytesIn: '18446744073709551615', metadata: { hostname: 'new' } });
    assert.partialDeepStrictEqual(ended, {
      sessionId: SESSION.sessionId,
      known: true,
      already: false,
      reason: 'UNSPECIFIED',
      at: at(HOUR).wall,
      metadata: { hostname: 'new', corrects_event_id: lost.eventId },
    });
    assert.partialDeepStrictEqual(ended.stats, {
      bytesReceived: '18446744073709551615',
      durationSeconds: '3600',
    });
    assert.notEqual(ended.eventId, lost.eventId);
    const [row, ...others] = rows();
    assert.deepEqual(others, []);
    assert.deepEqual(
      [row?.['bytes_in'], row?.['duration_seconds'], row?.['ended_wall'], row?.['end_reason']],
      ['18446744073709551615', '3600', at(HOUR).wall, 'UNSPECIFIED'],
    );
  });

  test('is corrected once', async (t) => {
    const { on, lose, end } = await record(t);
    on(at(0), (tx) => begin(tx));
    lose(10 * MINUTE);
    assert.equal(end(HOUR).known, true);
    assert.equal(end(HOUR).known, false);
  });

  test('is not corrected by the end of one that began at another time, or of another user', async (t) => {
    const { on, lose, end } = await record(t);
    on(at(0), (tx) => begin(tx));
    lose(10 * MINUTE);
    assert.equal(end(HOUR, { durationSeconds: '3299' }).known, false, 'began more than five minutes later');
    assert.equal(end(HOUR, { durationSeconds: null }).known, false);
    assert.equal(end(HOUR, { username: 'bob' }).known, false);
    assert.equal(end(HOUR, { vhost: 'branch' }).known, false);
    assert.equal(end(HOUR, { durationSeconds: '3300' }).known, true);
  });

  test('is not taken for one that ended in good order', async (t) => {
    const { on, end } = await record(t);
    on(at(0), (tx) => begin(tx));
    end(HOUR);
    assert.equal(end(HOUR + 1_000, { durationSeconds: '3601' }).known, false);
  });

  test('told again has the id of the correction', async (t) => {
    const { on, end } = await record(t);
    on(at(0), (tx) => begin(tx));
    on(at(10 * MINUTE), (tx) => {
      for (const session of liveSessions(tx)) closeLost(tx, session, tx.now.wall, 'gone');
    });
    const first = end(HOUR);
    const again = end(HOUR, { again: true });
    assert.equal(again.already, true);
    assert.equal(again.eventId, first.eventId);
  });
});
