import assert from 'node:assert/strict';
import os from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import type { Transaction } from '../../src/state/transaction.ts';
import { StateUnusable } from '../../src/state/unusable.ts';
import { rouse } from '../../src/state/wake.ts';
import { settings } from './fixture.ts';
import { ALLOW } from './portal.ts';
import { A_MOMENT, ended, forward, LONGEST, leading } from './served.ts';
import { asks, leads } from './siblings.ts';

describe('the priority of a leader', () => {
  /** What it was last set to; null for never. */
  const priority = (t: TestContext) => {
    const now: { is: number | null } = { is: null };
    t.mock.method(os, 'setPriority', (value: number) => {
      now.is = value;
    });
    return now;
  };

  test('is raised while something is asked, and given back with the last answer', async (t) => {
    const { server, ask, calls, leave } = await leading(t);
    const now = priority(t);
    const usual = os.getPriority();
    const serving = server.serve();
    await ask('alice', 'bob');
    rouse();
    await calls.came(2);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(now.is, Math.min(usual, -15));
    calls.asked[0]?.settle(ALLOW);
    assert.equal(await ended(serving, A_MOMENT), false);
    assert.equal(now.is, Math.min(usual, -15), 'one is still on its way');
    calls.asked[1]?.settle(ALLOW);
    assert.equal(await ended(serving, A_MOMENT), false);
    assert.equal(now.is, usual);
    leave.when = () => true;
    rouse();
    await serving;
  });

  test('is given back also when it loses the lead, or the state, with calls on their way', async (t) => {
    for (const lose of [
      (tx: Transaction) => tx.write('UPDATE leader SET term = term + 1'),
      (tx: Transaction) => tx.write('DROP TABLE question'),
    ]) {
      const { server, state, ask, calls } = await leading(t);
      const now = priority(t);
      await ask('alice');
      const serving = server.serve().catch((error: unknown) => assert.ok(error instanceof StateUnusable));
      await calls.came(1);
      await state.step(lose);
      rouse();
      await serving;
      assert.equal(now.is, os.getPriority());
      t.mock.restoreAll();
    }
  });
});

describe('a leader that no longer is', () => {
  test('takes nothing, and leaves the lead alone', async (t) => {
    const { server, state, ask, calls, leader, sibling } = await leading(t);
    await ask('alice');
    await state.step((tx) => leads(tx, sibling.pid));
    await server.serve();
    assert.equal(calls.asked.length, 0);
    assert.equal((await leader()).pid, sibling.pid);
  });

  test('goes when it sees that, with calls on their way: the next one asks again', async (t) => {
    const { server, state, ask, calls, rows, sibling } = await leading(t);
    await ask('alice', 'bob');
    const serving = server.serve();
    await calls.came(2);
    calls.asked[0]?.settle(ALLOW);
    await state.step((tx) => leads(tx, sibling.pid));
    rouse();
    await serving;
    assert.deepEqual(
      (await rows()).map((row) => row.answer !== null),
      [true, false],
    );
  });

  test('leaves no answer that another one has given', async (t) => {
    const { server, state, ask, calls, rows, leave } = await leading(t);
    const [question] = await ask('alice');
    leave.when = () => true;
    const serving = server.serve();
    await calls.came(1);
    await state.step((tx) =>
      tx.write('UPDATE question SET answer = ? WHERE number = ?', '{"n":1}', question?.number ?? 0),
    );
    calls.settle();
    await serving;
    assert.equal((await rows())[0]?.answer, '{"n":1}');
  });

  test('because nothing can be written, leaves those that wait to themselves', async (t) => {
    const { server, path, ask, calls, state, rows } = await leading(t, false);
    await ask('alice');
    const holder = new Database(path);
    holder.exec('BEGIN IMMEDIATE');
    await assert.rejects(server.serve(), StateUnusable);
    holder.exec('ROLLBACK');
    holder.close();
    assert.equal(calls.asked.length, 0);
    assert.notEqual(state.unrecorded, null);
    assert.deepEqual(
      (await rows()).map(({ taken, answer: text }) => [taken, text]),
      [[0, null]],
    );
  });
});

describe('a row that no sibling has written', () => {
  for (const request of ['{}', 'null', '[]', '{"username":"alice"}']) {
    test(`keeps no other from its answer, and the leader from nothing: ${request}`, async (t) => {
      const { server, state, ask, calls, rows, leave, leader, sibling } = await leading(t);
      // As the process would: what nobody catches ends a hook, or leaves one that stays with a call that never ends.
      const faults: unknown[] = [];
      const caught = (error: unknown): number => faults.push(error);
      process.on('unhandledRejection', caught);
      t.after(() => process.off('unhandledRejection', caught));
      await state.step((tx) => asks(tx, sibling.pid, { request }));
      await ask('bob');
      leave.when = () => true;
      const serving = server.serve();
      await calls.came(1);
      calls.settle();
      assert.equal(await ended(serving, LONGEST), true, 'it leaves');
      assert.deepEqual(faults, []);
      assert.equal((await leader()).pid, 0);
      assert.notEqual((await rows()).at(-1)?.answer, null);
    });
  }
});

describe('a leader that takes no more questions', () => {
  test('goes also when a call never comes back: others must be able to lead', async (t) => {
    const clock = forward(t);
    const { server, ask, calls, leader } = await leading(t);
    await ask('alice');
    const serving = server.serve();
    await calls.came(1);
    server.retire();
    assert.equal(await ended(serving, A_MOMENT), false, 'it may still come');
    clock.ahead = settings().portal.timeout / 1_000 + 6;
    rouse();
    await serving;
    assert.equal((await leader())?.pid, 0);
  });
});
