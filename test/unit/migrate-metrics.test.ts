import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { contactTimes, loadContact } from '../../src/state/contact.ts';
import { count, counted, observe, observed } from '../../src/state/counters.ts';
import { exportStatus, takeExportTurn } from '../../src/state/export-turn.ts';
import { lastMaintainRun } from '../../src/state/maintenance.ts';
import initial from '../../src/state/migrations/001-initial.ts';
import events from '../../src/state/migrations/002-events.ts';
import { originOf } from '../../src/state/origin.ts';
import { tallyOutbox } from '../../src/state/outbox-list.ts';
import { openState, scratch } from './fixture.ts';

const CREATED = '2026-01-02T03:04:05.678Z';
const INSTANCE = '6f1c1e0a-6c0e-4f0e-9d1c-2a3b4c5d6e7f';

/** A state as the version before metrics left it. */
function older(path: string): void {
  const db = new Database(path);
  db.pragma('journal_mode = WAL');
  db.exec(initial);
  db.exec(events);
  db.exec(`
    INSERT INTO meta VALUES ('created_at', '${CREATED}'), ('instance_id', '${INSTANCE}');
    INSERT INTO counter VALUES ('ocserv.cache.hits_total', '{}', 41),
      ('ocserv.events.delivered_total', '{"type":"connect"}', 7);
    UPDATE portal_contact SET last_success = 1000, last_error = 'UNAVAILABLE: refused', last_error_at = 2000;
    INSERT INTO event (id, type, session_id, username, at_wall, body)
      VALUES ('e1', 'connect', '1-1', 'alice', 3000, '{}');
    PRAGMA user_version = 2;
  `);
  db.close();
}

describe('a state of the version before metrics', () => {
  test('keeps what it had counted, since when, and which one it is', async (t) => {
    const path = join(scratch(t), 'state.db');
    older(path);
    const state = await openState(path);
    await state.read((tx) => {
      assert.deepEqual(originOf(tx), { createdAt: Date.parse(CREATED), instanceId: INSTANCE });
      assert.deepEqual(counted(tx, 'ocserv.cache.hits_total'), [{ attributes: {}, value: 41 }]);
      assert.deepEqual(loadContact(tx), {
        lastSuccessAt: '1970-01-01T00:00:01.000Z',
        lastError: 'UNAVAILABLE: refused',
        lastErrorAt: '1970-01-01T00:00:02.000Z',
      });
      assert.partialDeepStrictEqual(tallyOutbox(tx), { pending: 1, failed: 0, oldestAt: 3_000 });
    });
  });

  test('goes on counting where it was, and begins with what is new', async (t) => {
    const path = join(scratch(t), 'state.db');
    older(path);
    const state = await openState(path);
    await state.step((tx) => {
      assert.deepEqual(exportStatus(tx), { lastSuccess: null, lastError: null, lastErrorAt: null });
      assert.equal(lastMaintainRun(tx), null);
      assert.equal(contactTimes(tx).certificateExpires, null);
      assert.deepEqual(observed(tx, 'ocserv.hook.duration'), []);
      count(tx, 'ocserv.events.delivered_total', { type: 'connect' });
      observe(tx, 'ocserv.hook.duration', 0.02, { reason: 'connect' });
      assert.equal(takeExportTurn(tx, 15_000, 10_000), true);
    });
    assert.equal(state.unrecorded, null);
    const again = await openState(path);
    await again.read((tx) => {
      assert.deepEqual(counted(tx, 'ocserv.events.delivered_total'), [
        { attributes: { type: 'connect' }, value: 8 },
      ]);
      assert.equal(observed(tx, 'ocserv.hook.duration').length, 1);
    });
  });
});
