import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { decisionCount, keepDecision, listDecisions } from '../../src/state/decisions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { StateUnusable } from '../../src/state/unusable.ts';
import { openState, scratch } from './fixture.ts';

const PAGE = 4_096;

function keep(tx: Transaction, username: string): void {
  const key = { vhost: 'default', username, groupname: '', clientIp: '' };
  const reason = 'r'.repeat(200);
  const answer = {
    allowed: true,
    reason,
    routes: [],
    dnsServers: [],
    cacheTtl: null,
    asked: nextInSequence(tx),
  };
  keepDecision(tx, key, answer, 10_000);
}

const all = (tx: Transaction) => listDecisions(tx, null, 10_000).map(({ username }) => username);

/** A state with so much in it that it has many pages, all in the main file. */
async function filled(t: TestContext): Promise<string> {
  const path = join(scratch(t), 'state.db');
  const state = await openState(path);
  await state.step((tx) => {
    for (let n = 0; n < 500; n++) keep(tx, `user-${n}`);
  });
  const db = new Database(path);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  assert.ok(statSync(path).size > 20 * PAGE);
  return path;
}

/** A state as a crash leaves it: nobody has it open, and its last row is in the write-ahead log alone. */
async function crashed(t: TestContext): Promise<string> {
  const origin = await filled(t);
  await (await openState(origin)).step((tx) => keep(tx, 'the last one'));
  const path = join(scratch(t), 'state.db');
  for (const suffix of ['', '-wal', '-shm']) copyFileSync(origin + suffix, path + suffix);
  return path;
}

/** Writes over a part of the file, as a failing disk would. */
function damage(path: string, from: number, length: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(length, 0xa5), 0, length, from);
  closeSync(fd);
}

function besides(path: string): string[] {
  return readdirSync(join(path, '..')).filter((name) => name.includes('.corrupt-'));
}

/** Opens it, reads all of it, and says what was found and what was set aside. */
async function readAll(path: string): Promise<{ users: string[]; aside: string[] }> {
  const aside: string[] = [];
  const state = await openState(path, { onSetAside: (name) => aside.push(name) });
  const users = await state.step(all);
  await state.step((tx) => keep(tx, 'new'));
  assert.equal(state.unrecorded, null);
  return { users, aside };
}

describe('a corrupt state is set aside, whole, and a new one begun', () => {
  test('when it is no database at all', async (t) => {
    const path = join(scratch(t), 'state.db');
    const garbage = Buffer.alloc(3 * PAGE, 'garbage ');
    writeFileSync(path, garbage);
    const { ino } = statSync(path);
    const { users, aside } = await readAll(path);
    assert.deepEqual(users, []);
    assert.deepEqual(aside, [`${path}.corrupt-${ino}`]);
    assert.ok(readFileSync(aside[0] ?? '').equals(garbage));
  });

  test('when its end is missing', async (t) => {
    const path = await filled(t);
    truncateSync(path, 10 * PAGE);
    const { users, aside } = await readAll(path);
    assert.deepEqual([users, aside.length], [[], 1]);
    assert.equal(statSync(aside[0] ?? '').size, 10 * PAGE);
  });

  test('when it is damaged in the middle, which only shows when it is read', async (t) => {
    const path = await filled(t);
    damage(path, PAGE, statSync(path).size - PAGE);
    const damaged = readFileSync(path);
    const { users, aside } = await readAll(path);
    assert.deepEqual([users, aside.length], [[], 1]);
    assert.ok(readFileSync(aside[0] ?? '').equals(damaged));
  });

  test('and the new one is a state like any other', async (t) => {
    const path = await filled(t);
    damage(path, 0, PAGE);
    await readAll(path);
    assert.deepEqual(await readAll(path), { users: ['new'], aside: [] });
  });

  test('and its write-ahead log goes with it under the same suffix: there are committed rows in it', async (t) => {
    for (const [what, from, length] of [
      ['at opening', 0, 100],
      ['in a step', PAGE, 12 * PAGE],
    ] as const) {
      const path = await crashed(t);
      const log = readFileSync(`${path}-wal`);
      assert.ok(log.includes('the last one'));
      damage(path, from, length);
      const { users, aside } = await readAll(path);
      assert.deepEqual([users, aside.length], [[], 1], what);
      assert.ok(readFileSync(`${aside[0]}-wal`).equals(log), what);
      assert.ok(!readFileSync(`${path}-wal`).includes('the last one'), what);
    }
  });
});

describe('of several processes that find it corrupt', () => {
  test('one sets it aside, and all go on with the same new one', async (t) => {
    const path = await filled(t);
    const aside: string[] = [];
    const open = () => openState(path, { onSetAside: (name) => aside.push(name) });
    const [first, second] = await Promise.all([open(), open()]);
    damage(path, PAGE, statSync(path).size - PAGE);
    assert.deepEqual(await first.step(all), []);
    await first.step((tx) => keep(tx, 'first'));
    assert.deepEqual(await second.step(all), ['first']);
    assert.equal(aside.length, 1);
    assert.deepEqual(
      besides(path).filter((name) => /corrupt-\d+$/.test(name)),
      [aside[0]?.split('/').at(-1)],
    );
  });

  test('one that opens it beside another finds the new one as well', async (t) => {
    const path = join(scratch(t), 'state.db');
    writeFileSync(path, Buffer.alloc(PAGE, 'garbage '));
    const states = await Promise.all([openState(path), openState(path), openState(path)]);
    for (const state of states) await state.step((tx) => keep(tx, 'x'));
    assert.equal(await states[0].step(decisionCount), 1);
    assert.equal(besides(path).filter((name) => /corrupt-\d+$/.test(name)).length, 1);
  });
});

describe('a corrupt state that cannot be set aside', () => {
  /** Its lock cannot be had: on a disk that the kernel has made read-only it is the same. */
  function withoutLock(path: string): void {
    mkdirSync(`${path}.lock`);
  }

  test('is told as a state that cannot be used, when it shows at opening', async (t) => {
    const path = join(scratch(t), 'state.db');
    writeFileSync(path, Buffer.alloc(PAGE, 'garbage '));
    withoutLock(path);
    await assert.rejects(openState(path), (error) => {
      assert.ok(error instanceof StateUnusable, `${(error as Error).name}: ${(error as Error).message}`);
      return true;
    });
  });

  test('is told as a state that cannot be used, when it shows in a step', async (t) => {
    const path = await filled(t);
    const state = await openState(path);
    damage(path, PAGE, statSync(path).size - PAGE);
    withoutLock(path);
    await assert.rejects(state.step(all), (error) => {
      assert.ok(error instanceof StateUnusable, `${(error as Error).name}: ${(error as Error).message}`);
      return true;
    });
  });
});
