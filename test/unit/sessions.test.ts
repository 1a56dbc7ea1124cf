import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { endSession, type SessionEnd } from '../../src/state/session-end.ts';
import {
  beginSession,
  liveSessionCount,
  type NewSession,
  sessionIdOf,
  updateSession,
} from '../../src/state/sessions.ts';
import { at, ledger } from './fixture.ts';
import { END, SESSION } from './session-rows.ts';

const HOUR = 3_600_000;
const BEGAN = at(0).wall;

async function sessions(t: TestContext) {
  const on = await ledger(t);
  return {
    begin: (milliseconds: number, more: Partial<NewSession> = {}) =>
      on(at(milliseconds), (tx) => beginSession(tx, { ...SESSION, ...more })),
    end: (milliseconds: number, more: Partial<SessionEnd> = {}) =>
      on(at(milliseconds), (tx) => endSession(tx, { ...END, ...more })),
    update: (milliseconds: number, session: { ocservId: string; vhost: string; username: string }) =>
      on(at(milliseconds), (tx) => updateSession(tx, session, { hostname: 'phone' })),
    live: () => on(at(0), liveSessionCount),
    rows: () => on(at(0), (tx) => tx.rows<Record<string, unknown>>('SELECT * FROM session ORDER BY id')),
  };
}

describe("a session's id", () => {
  test("is ocserv's ID, which recurs, and the second of the connect", () => {
    assert.equal(sessionIdOf('14304', 1_795_428_000_000), '14304-1795428000');
    assert.equal(sessionIdOf('14304', 1_795_428_000_999), '14304-1795428000');
  });

  test('begins with 0 where ocserv names no ID', () => {
    assert.equal(sessionIdOf('', 1_795_428_000_000), '0-1795428000');
  });
});

describe('the end of a session', () => {
  test('is written on its beginning, with the id that it had from the start', async (t) => {
    const { begin, end, rows, live } = await sessions(t);
    begin(0);
    assert.equal(live(), 1);
    assert.partialDeepStrictEqual(end(HOUR), { sessionId: SESSION.sessionId, known: true, already: false });
    assert.equal(live(), 0);
    const [row, ...others] = rows();
    assert.deepEqual(others, []);
    assert.equal(row?.['source'], 'portal');
    assert.equal(row?.['ended_wall'], BEGAN + HOUR);
  });

  test('has its counts exactly, in all 64 bits', async (t) => {
    const exact = { bytesIn: '18446744073709551615', bytesOut: '9007199254740993' };
    const { begin, end, rows } = await sessions(t);
    begin(0);
    end(HOUR, { ...exact, durationSeconds: '3601' });
    end(HOUR, { ...exact, ocservId: '1', durationSeconds: '9223372036854775807' });
    const counts = rows().map(({ bytes_in, bytes_out, duration_seconds }) => [
      bytes_in,
      bytes_out,
      duration_seconds,
    ]);
    assert.deepEqual(counts, [
      [exact.bytesIn, exact.bytesOut, '3601'],
      [exact.bytesIn, exact.bytesOut, '9223372036854775807'],
    ]);
  });

  test('adds to what is known of it, hostile text too, and leaves the rest', async (t) => {
    const { begin, end, rows } = await sessions(t);
    begin(0);
    const odd = { invalid_username: `"},'--\n\u2028💥`, hostname: 'new' };
    end(HOUR, { metadata: odd });
    assert.deepEqual(JSON.parse(String(rows()[0]?.['metadata'])), { user_agent: 'v9', ...odd });
  });

  test('without a known beginning is a record of its own, begun as long ago as it lasted', async (t) => {
    const { end, rows, live } = await sessions(t);
    const began = BEGAN + 10 * HOUR - HOUR;
    const ended = end(10 * HOUR);
    assert.partialDeepStrictEqual(ended, { sessionId: sessionIdOf('14304', began), known: false });
    assert.equal(ended.metadata['connect_recorded'], 'false', 'the portal is told that it never heard of it');
    const [row] = rows();
    assert.deepEqual(
      [row?.['username'], row?.['source'], row?.['connected_wall'], row?.['ended_wall'], row?.['bytes_in']],
      ['alice', 'unknown', began, BEGAN + 10 * HOUR, '1'],
    );
    assert.equal(live(), 0);
  });

  test('without a known beginning or duration began now', async (t) => {
    const { end } = await sessions(t);
    assert.equal(end(0, { durationSeconds: null }).sessionId, sessionIdOf('14304', BEGAN));
    assert.equal(end(0, { ocservId: '' }).sessionId, sessionIdOf('', BEGAN - HOUR));
    assert.equal(end(0, { durationSeconds: '9223372036854775807' }).sessionId, sessionIdOf('14304', BEGAN));
  });

  test('comes twice only as a record of its own: an ended session is not ended again', async (t) => {
    const { begin, end } = await sessions(t);
    begin(0);
    assert.equal(end(HOUR).known, true);
    assert.equal(end(HOUR).known, false);
  });
});

describe("ocserv's ID recurs, so the end of a session", () => {
  test('finds the newest beginning under its ID', async (t) => {
    const { begin, end } = await sessions(t);
    begin(0);
    begin(10 * HOUR, { sessionId: 'newer' });
    assert.equal(end(11 * HOUR).sessionId, 'newer');
  });

  test('of another user or vhost does not end it', async (t) => {
    const { begin, end, live } = await sessions(t);
    begin(0);
    assert.equal(end(HOUR, { username: 'bob' }).known, false);
    assert.equal(end(HOUR, { vhost: 'other' }).known, false);
    assert.equal(live(), 1);
  });

  test('does not end one that began long before: that one is another, whose end was lost', async (t) => {
    const { begin, end, live } = await sessions(t);
    begin(0);
    const { known, sessionId } = end(100 * HOUR, { durationSeconds: '60' });
    assert.deepEqual([known, sessionId], [false, sessionIdOf('14304', BEGAN + 100 * HOUR - 60_000)]);
    assert.equal(live(), 1);
  });

  test('ends one that was recorded later than ocserv began to count: the login takes its time', async (t) => {
    const { begin, end } = await sessions(t);
    begin(60_000);
    assert.equal(end(HOUR, { durationSeconds: '3600' }).known, true);
  });

  test('ends it without a duration too, and although the clock was set back meanwhile', async (t) => {
    const { begin, end } = await sessions(t);
    begin(0);
    begin(0, { ocservId: '2', sessionId: 'second' });
    assert.equal(end(100 * HOUR, { durationSeconds: null }).known, true);
    assert.equal(end(-HOUR, { ocservId: '2', durationSeconds: '1' }).sessionId, 'second');
  });

  test('without an ID ends none', async (t) => {
    const { begin, end, live } = await sessions(t);
    begin(0, { ocservId: '' });
    assert.equal(end(HOUR, { ocservId: '' }).known, false);
    assert.equal(live(), 1);
  });
});

test('a host-update is noted on the live session it speaks of, and on no other', async (t) => {
  const { begin, end, update, rows } = await sessions(t);
  begin(0);
  const { ocservId, vhost, username } = SESSION;
  assert.equal(update(HOUR, { ocservId, vhost, username: 'bob' }), null);
  assert.equal(update(HOUR, { ocservId, vhost, username }), SESSION.sessionId);
  const [row] = rows();
  assert.equal(row?.['updated_wall'], BEGAN + HOUR);
  assert.deepEqual(JSON.parse(String(row?.['metadata'])), { user_agent: 'v9', hostname: 'phone' });
  end(HOUR);
  assert.equal(update(HOUR, { ocservId, vhost, username }), null);
});
