import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import initial from '../../src/state/migrations/001-initial.ts';
import { endSession } from '../../src/state/session-end.ts';
import { listSessions, removeSessionsBeforeEvents } from '../../src/state/session-records.ts';
import { openState, scratch } from './fixture.ts';
import { END } from './session-rows.ts';

/** A state as the version before events left it: one live session, and many that had ended. */
function older(path: string, ended: number): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec(initial);
  db.pragma('user_version = 1');
  const insert = db.prepare(
    `INSERT INTO session (session_id, ocserv_id, vhost, username, groupname, client_ip, vpn_ip, device, source, routes,
       dns_servers, connected_wall, connected_boot, connected_mono, ended_wall, metadata)
     VALUES (?, ?, 'corp', 'alice', '', '192.0.2.1', '', '', 'portal', '["10.0.0.0/8"]', '[]', ?, '', 0, ?, '{}')`,
  );
  db.transaction(() => {
    for (let i = 0; i < ended; i++) insert.run(`${i}-1`, String(i), 1_000, 2_000);
    insert.run('14304-1', '14304', Date.now() - 60_000, null);
  })();
  db.close();
}

describe('a state of the version before events', () => {
  test('keeps its live sessions, and their ends are told with the vhost that ocserv names', async (t) => {
    const path = join(scratch(t), 'state.db');
    older(path, 3);
    const state = await openState(path);
    const [live, ...others] = await state.read((tx) => listSessions(tx, { all: true, limit: 9 }));
    assert.deepEqual(others, []);
    assert.partialDeepStrictEqual(live, { sessionId: '14304-1', username: 'alice', routes: ['10.0.0.0/8'] });
    const ended = await state.step((tx) =>
      endSession(tx, { ...END, vhost: 'corp', vhostNamed: true, durationSeconds: '60' }),
    );
    assert.partialDeepStrictEqual(ended, { sessionId: '14304-1', known: true, vhost: 'corp' });
    assert.match(ended.eventId, /^[0-9a-f-]{14}7/);
  });

  test('is brought forward without touching those that had ended, which maintain removes', async (t) => {
    const path = join(scratch(t), 'state.db');
    older(path, 50_000);
    const state = await openState(path);
    const pages = await state.read((tx) =>
      tx.row<{ n: number }>('SELECT page_count AS n FROM pragma_page_count'),
    );
    const db = new Database(path);
    t.after(() => db.close());
    // Rows that are rewritten go through the log: a hook that migrates must not write as much as there is.
    const [log] = db.pragma('wal_checkpoint(PASSIVE)') as { log: number }[];
    assert.ok((log?.log ?? 0) < (pages?.n ?? 0) / 10, `${log?.log} of ${pages?.n} pages written`);
    const removed = await state.step((tx) => removeSessionsBeforeEvents(tx, 3_000, 500));
    assert.equal(removed, 500);
  });
});
