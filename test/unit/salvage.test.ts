import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { now } from '../../src/state/clock.ts';
import { nextDue, pendingCount, postpone, setAsideEvent } from '../../src/state/outbox.ts';
import { listEvents } from '../../src/state/outbox-list.ts';
import { removeSalvaged, salvage } from '../../src/state/salvage.ts';
import { endSession } from '../../src/state/session-end.ts';
import { listSessions } from '../../src/state/session-records.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { openState, scratch } from './fixture.ts';
import { connectOf, endOf, find, idsIn, put, updateOf } from './session-events.ts';
import { begin, END } from './session-rows.ts';
import { setAsideState } from './set-aside-state.ts';

const HOUR = 3_600_000;
const due = (tx: Transaction) => nextDue(tx, [], 100).map(({ id }) => id);
const live = (tx: Transaction) => listSessions(tx, { limit: 100 }).map(({ sessionId }) => sessionId);

describe('undelivered events of a database that was set aside', () => {
  test('are in the outbox again, as they were, under their ids', async (t) => {
    const events = {
      c: connectOf('1-1', { vhost: 'branch', metadata: { note: `"';\u2028💥` } }),
      d: endOf('1-1', { reason: 'ADMIN_FORCED', at: 77 }),
      u: updateOf('2-2', { status: 'IDLE' }),
    };
    const { path, aside, state } = await setAsideState(t, (tx) => put(tx, events));
    assert.deepEqual(await salvage(path, state), [{ file: aside, events: 3, sessions: 0, lost: [] }]);
    const found = await state.read((tx) => listEvents(tx, { limit: 9 }));
    assert.deepEqual(
      found.map(({ id, event }) => [id, event]),
      Object.entries(events),
    );
    assert.equal(await state.read(pendingCount), 3);
  });

  test('come before all that is in the outbox since: so did they in their sessions', async (t) => {
    const { path, state } = await setAsideState(t, (tx) =>
      put(tx, { c1: connectOf('1-1'), c2: connectOf('2-2') }),
    );
    await state.step((tx) => put(tx, { d1: endOf('1-1'), c3: connectOf('3-3') }));
    await salvage(path, state);
    assert.deepEqual(await state.read(idsIn), ['c1', 'c2', 'd1', 'c3']);
    assert.deepEqual(await state.read(due), ['c1', 'c2', 'c3'], 'the end of 1-1 waits for its connect');
  });

  test('come before those of a database that was set aside later, too, where that was looked at before', async (t) => {
    const { path, state } = await setAsideState(t, (tx) => put(tx, { old: connectOf('1-1') }));
    await state.step((tx) => {
      put(tx, { newer: endOf('1-1') });
      tx.write('UPDATE event SET seq = -5');
    });
    await salvage(path, state);
    assert.deepEqual(await state.read(idsIn), ['old', 'newer']);
  });

  test('are taken to the last, in their order, though the disk is full for some of them at first', async (t) => {
    const events = Object.fromEntries(
      Array.from({ length: 1_001 }, (_, i) => [
        `e${i}`,
        connectOf('1-1', { metadata: { note: 'x'.repeat(500) } }),
      ]),
    );
    const { path, aside, state } = await setAsideState(t, (tx) => put(tx, events));
    await state.step((tx) => put(tx, { newer: endOf('1-1') }));
    const pages = (most: number) => state.step((tx) => tx.row(`PRAGMA max_page_count = ${most}`));
    await pages(100);
    await assert.rejects(salvage(path, state), /the state cannot be written: the disk is full/);
    assert.ok(existsSync(aside), 'it is not done');
    const some = await state.read(pendingCount);
    assert.ok(some > 1 && some < 1_001, `${some} are taken`);
    await pages(100_000);
    assert.partialDeepStrictEqual(await salvage(path, state), [{ events: 1_002 - some, lost: [] }]);
    assert.deepEqual(await state.read(idsIn), [...Object.keys(events), 'newer']);
  });

  for (const [older, newer] of [
    ['100', '200'],
    ['200', '100'],
  ])
    test(`are all there after a try that was broken off into one that was set aside, too (${older}, then ${newer})`, async (t) => {
      const note = 'x'.repeat(900);
      const events = Array.from({ length: 601 }, (_, i) => [
        `e${i}`,
        connectOf(`1-${i}`, { metadata: { note } }),
      ]);
      const { path, aside, state } = await setAsideState(t, (tx) => put(tx, Object.fromEntries(events)));
      const pages = (most: number) => state.step((tx) => tx.row(`PRAGMA max_page_count = ${most}`));
      await pages(110);
      await assert.rejects(salvage(path, state), /the disk is full/);
      await pages(100_000);
      const some = await state.read(pendingCount);
      assert.ok(some > 0 && some < 601, `${some} are taken`);
      const since = Array.from({ length: 50 }, (_, i) => [`d${i}`, endOf(`9-${i}`)]);
      await state.step((tx) => put(tx, Object.fromEntries(since)));
      const other = join(scratch(t), 'state.db');
      copyFileSync(aside, `${other}.corrupt-${older}`);
      const db = new Database(path);
      db.pragma('wal_checkpoint(TRUNCATE)');
      db.close();
      copyFileSync(path, `${other}.corrupt-${newer}`);
      const third = await openState(other);
      assert.deepEqual(
        (await salvage(other, third)).map(({ lost }) => lost),
        [[], []],
      );
      assert.equal(await third.read(pendingCount), 651);
    });

  test('are found in its write-ahead log, which was set aside with it', async (t) => {
    const { path, aside, state } = await setAsideState(t, (tx) => put(tx, { c1: connectOf('1-1') }), {
      inLog: true,
    });
    assert.ok(existsSync(`${aside}-wal`));
    assert.partialDeepStrictEqual(await salvage(path, state), [{ events: 1, lost: [] }]);
    assert.ok(!existsSync(`${aside}-wal`), 'it is under the new name, or in the database');
  });

  test('do not wait any more, but know their tries; those set aside stay so', async (t) => {
    const { path, state } = await setAsideState(t, (tx) => {
      put(tx, { waits: connectOf('1-1'), failed: connectOf('2-2') });
      postpone(tx, find(tx, 'waits'), 'INTERNAL: x', HOUR);
      setAsideEvent(tx, find(tx, 'failed'), 'INVALID_ARGUMENT: y');
    });
    await salvage(path, state);
    const [waits, failed] = await state.read((tx) => listEvents(tx, { limit: 9 }));
    assert.partialDeepStrictEqual(waits, {
      id: 'waits',
      attempts: 1,
      lastError: 'INTERNAL: x',
      retryAt: 0,
      failedAt: null,
    });
    assert.partialDeepStrictEqual(failed, { id: 'failed', lastError: 'INVALID_ARGUMENT: y' });
    assert.equal(typeof failed?.failedAt, 'number');
    assert.equal(await state.read(pendingCount), 1);
  });

  test('are left out where they are there already, or an update whose session has newer ones', async (t) => {
    const { path, state } = await setAsideState(t, (tx) =>
      put(tx, { same: endOf('1-1'), u2: updateOf('2-2') }),
    );
    await state.step((tx) => put(tx, { same: endOf('1-1'), newer: updateOf('2-2') }));
    assert.partialDeepStrictEqual(await salvage(path, state), [{ events: 0, lost: [] }]);
    assert.deepEqual(await state.read(idsIn), ['same', 'newer']);
  });
});

describe('live sessions of a database that was set aside', () => {
  test('are on record again, as they were, and end under their id and event id', async (t) => {
    const began = now().wall;
    let endEventId: unknown;
    const { path, aside, state } = await setAsideState(t, (tx) => {
      begin(tx, { connectedAt: began, vhost: 'branch', vhostNamed: true });
      begin(tx, { connectedAt: began, ocservId: '2', sessionId: 'ended' });
      endSession(tx, { ...END, ocservId: '2', durationSeconds: '0' });
      tx.write(`UPDATE session SET seen_bytes_in = '18446744073709551615'`);
      endEventId = tx.row<{ id: string }>('SELECT end_event_id AS id FROM session')?.id;
    });
    assert.deepEqual(await salvage(path, state), [{ file: aside, events: 0, sessions: 1, lost: [] }]);
    assert.partialDeepStrictEqual(await state.read((tx) => listSessions(tx, { limit: 9, all: true })), [
      { username: 'alice', source: 'portal', routes: ['10.0.0.0/8'], bytesIn: '18446744073709551615' },
    ]);
    const ended = await state.step((tx) => endSession(tx, { ...END, vhost: 'branch', durationSeconds: '0' }));
    assert.partialDeepStrictEqual(ended, { known: true, eventId: String(endEventId), vhost: 'branch' });
  });

  test('are left out where they have ended since, under whatever id', async (t) => {
    const began = now().wall;
    const { path, state } = await setAsideState(t, (tx) => begin(tx, { connectedAt: began }));
    const end = await state.step((tx) => endSession(tx, { ...END, durationSeconds: '2' }));
    assert.equal(end.known, false);
    assert.partialDeepStrictEqual(await salvage(path, state), [{ sessions: 0, lost: [] }]);
    assert.deepEqual(await state.read(live), []);
  });

  test('are left out where they are on record: occtl told of them meanwhile', async (t) => {
    const began = now().wall;
    const { path, state } = await setAsideState(t, (tx) => begin(tx, { connectedAt: began }));
    await state.step((tx) => begin(tx, { connectedAt: began - 1_000, sessionId: 'taken up' }));
    await salvage(path, state);
    assert.deepEqual(await state.read(live), ['taken up']);
  });

  test('are not left out because an earlier one of the same ID has ended', async (t) => {
    const began = now().wall;
    const { path, state } = await setAsideState(t, (tx) => begin(tx, { connectedAt: began, sessionId: 'a' }));
    await state.step((tx) => {
      begin(tx, { sessionId: 'earlier', connectedAt: began - 2 * HOUR });
      tx.write('UPDATE session SET ended_wall = ?', began - 1);
    });
    await salvage(path, state);
    assert.deepEqual(await state.read(live), ['a']);
  });
});

describe('a database that was set aside', () => {
  test('is looked at once, and is kept under another name', async (t) => {
    const { path, aside, state } = await setAsideState(t, (tx) => put(tx, { c1: connectOf('1-1') }));
    await salvage(path, state);
    assert.ok(!existsSync(aside));
    assert.ok(existsSync(`${path}.salvaged-4711`));
    assert.deepEqual(await salvage(path, state), []);
    assert.deepEqual(await state.read(idsIn), ['c1']);
  });

  test('does no harm when it is looked at twice: by two at once, or after one that was killed before it was named', async (t) => {
    const { path, aside, state } = await setAsideState(t, (tx) => {
      put(tx, { c1: connectOf('1-1'), d1: endOf('1-1') });
      begin(tx, { ocservId: '9', sessionId: '9-9' });
    });
    const copy = readFileSync(aside);
    await salvage(path, state);
    writeFileSync(aside, copy);
    assert.partialDeepStrictEqual(await salvage(path, state), [{ events: 0, sessions: 0, lost: [] }]);
    assert.deepEqual([await state.read(idsIn), await state.read(live)], [['c1', 'd1'], ['9-9']]);
    writeFileSync(aside, copy);
    await Promise.all([salvage(path, state), salvage(path, state)]);
    assert.deepEqual([await state.read(idsIn), await state.read(live)], [['c1', 'd1'], ['9-9']]);
  });

  test('of an older schema, which had no events, gives its sessions', async (t) => {
    const { path, state } = await setAsideState(t, (tx) => {
      begin(tx, { ocservId: '9', sessionId: '9-9' });
      tx.write('DROP TABLE event');
      tx.write('ALTER TABLE session DROP COLUMN updated_routes');
    });
    assert.partialDeepStrictEqual(await salvage(path, state), [{ sessions: 1 }]);
    assert.deepEqual(await state.read(live), ['9-9']);
  });

  test('is removed some time after it was looked at, and not before that or without', async (t) => {
    const { path, aside, state } = await setAsideState(t, () => {});
    assert.equal(removeSalvaged(path, -1), 0);
    assert.ok(existsSync(aside));
    await salvage(path, state);
    assert.equal(removeSalvaged(path, HOUR), 0);
    assert.equal(removeSalvaged(path, -1), 1);
    assert.ok(!existsSync(`${path}.salvaged-4711`));
    assert.ok(existsSync(path));
  });
});
