import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Listed } from '../../src/ocserv/occtl.ts';
import { takeUp } from '../../src/sessions/reconcile.ts';
import { liveSessions } from '../../src/state/live-sessions.ts';
import { listEvents } from '../../src/state/outbox-list.ts';
import { endSession } from '../../src/state/session-end.ts';
import { listSessions } from '../../src/state/session-records.ts';
import { sessionIdOf } from '../../src/state/sessions.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger, settings } from './fixture.ts';
import { begin, END, LISTED, SESSION } from './session-rows.ts';

const CONFIG = settings();
const SILENT = settings({ events: { enabled: false } });
const MINUTE = 60_000;
const events = (tx: Transaction) => listEvents(tx, { limit: 100 }).map(({ event }) => event);

describe('a session that ocserv has and that is not on record', () => {
  const NOW = at(10 * MINUTE);
  const take = (tx: Transaction, listed: Partial<Listed> = {}, config = CONFIG) =>
    takeUp(tx, { ...LISTED, ...listed }, NOW.wall, config);

  test('is taken up, as having begun when occtl says, and the portal is told', async (t) => {
    const on = await ledger(t);
    const connectedAt = at(-MINUTE).wall;
    on(NOW, (tx) => {
      assert.equal(take(tx, { connectedAt, vhost: 'branch' }), true);
      const sessionId = sessionIdOf('14304', connectedAt);
      assert.partialDeepStrictEqual(liveSessions(tx), [{ sessionId, connectedAt, vhostForPortal: 'branch' }]);
      assert.equal(listSessions(tx, { limit: 1 })[0]?.source, 'unknown');
      assert.deepEqual(events(tx), [
        {
          type: 'connect',
          sessionId,
          username: 'alice',
          vhost: 'branch',
          at: connectedAt,
          groupname: 'staff',
          clientIp: '192.0.2.1',
          vpnIp: '10.200.0.5',
          device: 'vpns0',
          metadata: { source: 'unknown', taken_up: 'true' },
        },
      ]);
      assert.equal(take(tx, { connectedAt, vhost: 'branch' }), false, 'once');
    });
  });

  test('is ended by ocserv like any other', async (t) => {
    const on = await ledger(t);
    on(NOW, (tx) => take(tx));
    const ended = on(at(60 * MINUTE), (tx) => endSession(tx, END));
    assert.partialDeepStrictEqual(ended, { known: true, sessionId: SESSION.sessionId, vhost: null });
  });

  test('began now, where occtl does not tell', async (t) => {
    const on = await ledger(t);
    on(NOW, (tx) => take(tx, { connectedAt: null }));
    assert.equal(on(NOW, liveSessions)[0]?.connectedAt, NOW.wall);
  });

  test('is not told where nothing is reported, but on record', async (t) => {
    const on = await ledger(t);
    on(NOW, (tx) => {
      assert.equal(take(tx, {}, SILENT), true);
      assert.deepEqual([events(tx), liveSessions(tx).length], [[], 1]);
    });
  });

  test('is not taken up while it is being set up: its hook may be about to record or deny it', async (t) => {
    const on = await ledger(t);
    for (const state of ['auth failed', 'pre-auth', '']) {
      assert.equal(
        on(NOW, (tx) => take(tx, { state })),
        false,
        state,
      );
    }
  });

  test('is not taken up under a name that occtl cannot print', async (t) => {
    const on = await ledger(t);
    for (const username of ['\xff\xffric', '\ufffd']) {
      assert.equal(
        on(NOW, (tx) => take(tx, { username })),
        false,
        username,
      );
    }
  });

  test('is not taken up where it is live on record, or has ended since occtl was asked or shortly before', async (t) => {
    for (const endedAt of [null, NOW.wall + 1, NOW.wall - 5 * MINUTE]) {
      const on = await ledger(t);
      on(at(0), (tx) => {
        begin(tx);
        tx.write('UPDATE session SET ended_wall = ?', endedAt);
      });
      assert.equal(
        on(NOW, (tx) => take(tx)),
        false,
        String(endedAt),
      );
    }
  });

  test('is taken up under an ID that another had, or the same user long ago', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      begin(tx, { username: 'bob' });
      begin(tx, { sessionId: 'old' });
      tx.write(`UPDATE session SET ended_wall = ? WHERE username = 'alice'`, NOW.wall - 5 * MINUTE - 1);
    });
    assert.equal(
      on(NOW, (tx) => take(tx)),
      true,
    );
  });
});
