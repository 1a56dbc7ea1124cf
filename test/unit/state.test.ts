import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { count, total } from '../../src/state/counters.ts';
import { isCurrent, migrate, SCHEMA_VERSION } from '../../src/state/migrate.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { StateUnusable } from '../../src/state/unusable.ts';
import { openState, scratch } from './fixture.ts';
import { sibling } from './state-child.ts';

const countOne = (tx: Transaction): void => count(tx, 'ocserv.cache.hits_total');
const sum = (tx: Transaction): number => total(tx, 'ocserv.cache.hits_total');

async function assertUnusable(path: string, why: RegExp, cure: RegExp): Promise<void> {
  await assert.rejects(openState(path, { patience: 50 }), (error) => {
    assert.ok(error instanceof StateUnusable, String(error));
    assert.match(error.message, why);
    assert.match(error.cure, cure);
    return true;
  });
}

describe('the state', () => {
  test('is made at the first start, and what is written is there at the next', async (t) => {
    const path = join(scratch(t), 'state.db');
    await (await openState(path)).step(countOne);
    assert.equal(await (await openState(path)).step(sum), 1);
  });

  test('takes all that a step changes, or nothing of it', async (t) => {
    const state = await openState(join(scratch(t), 'state.db'));
    const fault = state.step((tx) => {
      countOne(tx);
      throw new Error('in the middle');
    });
    await assert.rejects(fault, /in the middle/);
    assert.equal(await state.step(sum), 0);
  });

  test('is read as it was when the time was taken: nothing of it is from the future', async (t) => {
    const path = join(scratch(t), 'state.db');
    const [reader, sibling] = [await openState(path), new Database(path)];
    t.after(() => sibling.close());
    const mono = await reader.read((tx) => {
      sibling.exec(`UPDATE leader SET mono = ${tx.now.mono + 1}`);
      return tx.row<{ mono: number }>('SELECT mono FROM leader')?.mono;
    });
    assert.equal(mono, 0);
  });

  test('that is not to be made is empty, and leaves no file behind', async (t) => {
    const folder = scratch(t);
    const state = await openState(join(folder, 'state.db'), { create: false });
    assert.equal(await state.step(sum), 0);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('can be begun by two at once', async (t) => {
    const path = join(scratch(t), 'state.db');
    const states = await Promise.all([openState(path), openState(path)]);
    await Promise.all(states.map((state) => state.step(countOne)));
    assert.equal(await states[0].step(sum), 2);
  });

  test('is begun once: who comes second to its making finds nothing left to do', async (t) => {
    const path = join(scratch(t), 'state.db');
    const [first, second] = [new Database(path), new Database(path)];
    const who = (db: Database.Database) =>
      db.prepare("SELECT value FROM meta WHERE name = 'instance_id'").get();
    assert.deepEqual([isCurrent(first, path), isCurrent(second, path)], [false, false]);
    migrate(first, path);
    const made = who(first);
    migrate(second, path);
    assert.deepEqual(who(second), made);
    for (const db of [first, second]) db.close();
  });

  test('can be begun by several processes at once: it is one state, and nothing is lost', async (t) => {
    const path = join(scratch(t), 'state.db');
    const sums = await Promise.all([1, 2, 3].map(() => sibling(t, 'count', path).said()));
    assert.deepEqual(sums.sort(), ['1', '2', '3']);
    const state = await openState(path);
    const names = await state.step((tx) => tx.rows<{ name: string }>('SELECT name FROM meta ORDER BY name'));
    assert.deepEqual(
      names.map(({ name }) => name),
      ['created_at', 'instance_id'],
    );
  });
});

describe('a state of a newer version', () => {
  function newer(t: TestContext, journal: string): string {
    const path = join(scratch(t), 'state.db');
    const db = new Database(path);
    db.pragma(`journal_mode = ${journal}`);
    db.exec('CREATE TABLE future (x); INSERT INTO future VALUES (1)');
    db.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
    db.close();
    chmodSync(path, 0o600);
    return path;
  }

  test('is not used, and that is told with the cure', async (t) => {
    const path = newer(t, 'DELETE');
    const why = new RegExp(
      `schema version ${SCHEMA_VERSION + 1}, and this program knows up to ${SCHEMA_VERSION}`,
    );
    await assertUnusable(path, why, /install the ocagent-hook that wrote it, or a newer one/);
  });

  test('is left as it is, to the last byte', async (t) => {
    for (const journal of ['DELETE', 'WAL']) {
      const path = newer(t, journal);
      const before = readFileSync(path);
      await assert.rejects(openState(path), StateUnusable);
      assert.ok(readFileSync(path).equals(before), journal);
    }
  });
});

describe('a state that cannot be trusted is not used, and the cure is told', () => {
  const asRoot = { skip: process.geteuid?.() !== 0 && 'only root can give a file away' };

  async function made(t: TestContext): Promise<{ folder: string; path: string }> {
    const folder = scratch(t);
    const path = join(folder, 'state.db');
    await (await openState(path)).step(countOne);
    return { folder, path };
  }

  test('when others can write it', async (t) => {
    const { path } = await made(t);
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(path, mode);
      await assertUnusable(
        path,
        /state\.db can be written by others \(mode 06\d\d\)/,
        /chmod 0600 .*state\.db/,
      );
    }
  });

  test('when others can write its folder', async (t) => {
    const { folder, path } = await made(t);
    for (const mode of [0o770, 0o707, 0o1777]) {
      chmodSync(folder, mode);
      await assertUnusable(path, /can be written by others/, new RegExp(`chmod 0700 ${folder}`));
    }
  });

  test('when it belongs to another user', asRoot, async (t) => {
    const { path } = await made(t);
    chownSync(path, 54_321, 0);
    await assertUnusable(path, /state\.db belongs to uid 54321, and this runs as uid 0/, /chown/);
  });

  test('when its folder belongs to another user, even before there is one', asRoot, async (t) => {
    const folder = scratch(t);
    chownSync(folder, 54_321, 0);
    await assertUnusable(join(folder, 'state.db'), /belongs to uid 54321/, /chown/);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('when its folder is not there, or is none', async (t) => {
    const folder = scratch(t);
    await assertUnusable(
      join(folder, 'none', 'state.db'),
      /none does not exist/,
      /install -d -m 0700 .*none/,
    );
    writeFileSync(join(folder, 'file'), '');
    await assertUnusable(join(folder, 'file', 'state.db'), /file is not a folder/, /set state\.path/);
  });

  test('when it is no regular file, and then it is not moved either', async (t) => {
    const { folder, path: real } = await made(t);
    mkdirSync(join(folder, 'folder'));
    symlinkSync(real, join(folder, 'link'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const before = readdirSync(folder).sort();
    for (const name of ['folder', 'link', 'pipe'])
      await assertUnusable(join(folder, name), /is not a regular file/, /move it away, or set state\.path/);
    assert.deepEqual(readdirSync(folder).sort(), before);
  });
});
