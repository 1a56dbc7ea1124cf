import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { nextDue } from '../../src/state/outbox.ts';
import { salvage } from '../../src/state/salvage.ts';
import { listSessions } from '../../src/state/session-records.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { openState, scratch } from './fixture.ts';
import { connectOf, endOf, idsIn, put, updateOf } from './session-events.ts';
import { begin } from './session-rows.ts';
import { setAsideState } from './set-aside-state.ts';

/** A broken page can hold what the table's own rules would never have let in. */
function loosen(tx: Transaction, table: string): void {
  tx.write(`CREATE TABLE loose AS SELECT * FROM ${table}`);
  tx.write(`DROP TABLE ${table}`);
  tx.write(`ALTER TABLE loose RENAME TO ${table}`);
}

describe('what is taken over of a database that was set aside', () => {
  test('is an update, too, whose connect is in the same database', async (t) => {
    const { path, state } = await setAsideState(t, (tx) =>
      put(tx, { c: connectOf('1-1'), u: updateOf('1-1') }),
    );
    await salvage(path, state);
    assert.deepEqual(await state.read(idsIn), ['c', 'u']);
  });

  for (const [what, change] of [
    ['has a text for a time', `UPDATE event SET at_wall = 'x' WHERE id = 'd1'`],
    ['has no username', `UPDATE event SET username = NULL WHERE id = 'd1'`],
    ['has a body cut short', `UPDATE event SET body = '{' WHERE id = 'd1'`],
    ['has null for a body', `UPDATE event SET body = 'null' WHERE id = 'd1'`],
    ['has a list for a body', `UPDATE event SET body = '[]' WHERE id = 'd1'`],
    ['has no counts', `UPDATE event SET body = '{}' WHERE id = 'd1'`],
  ] as const) {
    test(`is not an event that ${what}: it is told, and the others come back`, async (t) => {
      const { path, state } = await setAsideState(t, (tx) => {
        put(tx, { d1: endOf('1-1'), d2: endOf('2-2') });
        loosen(tx, 'event');
        tx.write(change);
      });
      const [report] = await salvage(path, state);
      assert.equal(report?.events, 1);
      assert.match(report?.lost.join() ?? '', /^event d1 of .* could not be taken/);
      assert.deepEqual(await state.read((tx) => nextDue(tx, [], 9).map(({ id }) => id)), ['d2']);
    });
  }

  for (const [what, change] of [
    ['a text for a time', `UPDATE session SET connected_wall = 'x'`],
    ['a list for its metadata', `UPDATE session SET metadata = '[]'`],
  ] as const) {
    test(`is not a session that has ${what}: it is told, and the events come back`, async (t) => {
      const { path, state } = await setAsideState(t, (tx) => {
        begin(tx);
        put(tx, { d: endOf('1-1') });
        loosen(tx, 'session');
        tx.write(change);
      });
      const [report] = await salvage(path, state);
      assert.deepEqual([report?.sessions, report?.events, report?.lost.length], [0, 1, 1]);
      assert.deepEqual(await state.read((tx) => listSessions(tx, { limit: 9 })), []);
    });
  }

  test('is the beginning of a file that ends early', async (t) => {
    const { path, state } = await setAsideState(
      t,
      (tx) => {
        for (let n = 0; n < 500; n++) {
          put(tx, { [`e${n}`]: endOf(`${n}-1`, { metadata: { filler: 'x'.repeat(100) } }) });
        }
      },
      { spoil: (file) => truncateSync(file, 50 * 4_096) },
    );
    const [report] = await salvage(path, state);
    assert.ok((report?.events ?? 0) > 50, String(report?.events));
    assert.notDeepEqual(report?.lost, [], 'the rest is told to be lost');
  });
});

describe('a database that was set aside', () => {
  test('is renamed, though its folder has such a name, too', async (t) => {
    const { aside } = await setAsideState(t, (tx) => put(tx, { d1: endOf('1-1') }));
    const folder = join(scratch(t), 'x.corrupt-y');
    mkdirSync(folder, { mode: 0o700 });
    const path = join(folder, 'state.db');
    copyFileSync(aside, `${path}.corrupt-1`);
    const state = await openState(path);
    await salvage(path, state);
    assert.ok(!existsSync(`${path}.corrupt-1`));
    assert.ok(existsSync(`${path}.salvaged-1`));
  });

  test('that a sibling has treated meanwhile is no loss', async (t) => {
    const { path, aside, state } = await setAsideState(t, (tx) => put(tx, { d1: endOf('1-1') }));
    copyFileSync(aside, `${path}.corrupt-1`);
    const { step } = state;
    // Between the list of files and the look at the second one.
    state.step = (work) => {
      rmSync(aside, { force: true });
      return step.call(state, work) as ReturnType<typeof step<ReturnType<typeof work>>>;
    };
    const reports = await salvage(path, state);
    assert.deepEqual(
      reports.flatMap(({ lost }) => lost),
      [],
    );
  });
});
