import assert from 'node:assert/strict';
import { once } from 'node:events';
import os from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { Server } from '../../src/leader/serve.ts';
import type { PortalResult, Request } from '../../src/policy/types.ts';
import type { PortalCalls } from '../../src/portal/calls.ts';
import { takeLead } from '../../src/state/leader.ts';
import { type Question, takeQuestions } from '../../src/state/questions.ts';
import type { State } from '../../src/state/state.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { StateUnusable } from '../../src/state/unusable.ts';
import { rouse } from '../../src/state/wake.ts';
import { openState, scratch, settings } from './fixture.ts';
import { ALICE, ALLOW, AWAY, answer, DENY, failure } from './portal.ts';
import { asks, dead, keepAlive, leaderRow, leads, PORTAL, questionRows, stranger } from './siblings.ts';

/** The portal as the leader sees it: calls come in, and are answered when the test says so. */
class Calls implements Pick<PortalCalls, 'checkPolicy' | 'isConnected'> {
  isConnected = false;
  readonly asked: {
    user: string;
    budget: number;
    settle: (result: PortalResult) => void;
    fail: (error: unknown) => void;
  }[] = [];
  #came: () => void = () => {};

  checkPolicy({ username }: Request, budget: number): Promise<PortalResult> {
    const { promise, resolve, reject } = Promise.withResolvers<PortalResult>();
    this.asked.push({ user: username, budget, settle: resolve, fail: reject });
    this.#came();
    return promise;
  }

  async came(count: number): Promise<void> {
    while (this.asked.length < count) {
      await new Promise<void>((resolve) => {
        this.#came = resolve;
      });
    }
  }

  /** Answers what has not been answered. */
  settle(say: (user: string) => PortalResult = () => ALLOW): void {
    for (const { user, settle } of this.asked) settle(say(user));
  }
}

async function leading(t: TestContext, alive = true) {
  const path = join(scratch(t), 'state.db');
  const state: State = await openState(path);
  const calls = new Calls();
  const term = await state.step((tx) => takeLead(tx, PORTAL));
  if (alive) keepAlive(state);
  const sibling = stranger(t);
  const leave = { when: (_idle: number): boolean => false };
  // Whatever the test has found: who does not hold the lead goes.
  t.after(async () => {
    await state.step((tx) => tx.write('UPDATE leader SET pid = 0'));
    rouse();
  });
  const server = new Server({
    config: settings(),
    state,
    term,
    calls: calls as unknown as PortalCalls,
    mayLeave: (idle) => leave.when(idle),
  });
  const request = (username: string) => JSON.stringify({ ...ALICE, username });
  return {
    path,
    state,
    calls,
    server,
    sibling,
    leave,
    ask: (...users: string[]): Promise<Question[]> =>
      state.step((tx) => users.map((user) => asks(tx, sibling.pid, { request: request(user) }))),
    rows: () => state.step(questionRows),
    leader: () => state.step(leaderRow),
  };
}

const users = (count: number): string[] => Array.from({ length: count }, (_, i) => `user-${i}`);

/** A monotonic clock that the test sets forward, in seconds. */
function forward(t: TestContext): { ahead: number } {
  const clock = { ahead: 0 };
  const real = process.hrtime;
  const moved = (): [number, number] => {
    const [seconds, nanoseconds] = real();
    return [seconds + clock.ahead, nanoseconds];
  };
  t.mock.property(
    process,
    'hrtime',
    Object.assign(moved, { bigint: () => real.bigint() + BigInt(clock.ahead) * 1_000_000_000n }),
  );
  return clock;
}

/** Whether it has ended `by` then. That it has not is looked at for a moment only, that it has for as long as it may take. */
async function ended(serving: Promise<unknown>, by: number): Promise<boolean> {
  const timeout = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeout.resolve(false), by);
  const result = await Promise.race([serving.then(() => true), timeout.promise]);
  clearTimeout(timer);
  return result;
}
const A_MOMENT = 300;
const LONGEST = 10_000;

describe('a leader', () => {
  test('asks for each that waits, and gives each its own answer', async (t) => {
    const { server, ask, calls, rows, leave, leader } = await leading(t);
    const asked = await ask('alice', 'bob', 'carol');
    leave.when = () => true;
    const serving = server.serve();
    await calls.came(3);
    assert.deepEqual(
      calls.asked.map(({ user }) => user),
      ['alice', 'bob', 'carol'],
    );
    for (const i of [2, 0, 1]) calls.asked[i]?.settle(answer(true, { reason: `for ${calls.asked[i].user}` }));
    await serving;
    assert.deepEqual(
      (await rows()).map((row) => [row.number, JSON.parse(row.answer ?? 'null')]),
      asked.map(({ number }, i) => [number, answer(true, { reason: `for ${['alice', 'bob', 'carol'][i]}` })]),
    );
    assert.equal((await leader()).pid, 0);
  });

  test('wakes each for its answer, and no stranger', async (t) => {
    const { server, state, calls, leave } = await leading(t);
    const woken = once(process, 'SIGCONT');
    await state.step((tx) => asks(tx, process.pid, { request: JSON.stringify(ALICE) }));
    leave.when = () => true;
    const serving = server.serve();
    await calls.came(1);
    calls.settle();
    await serving;
    await woken;
  });

  test('begins with few, and asks for more once the portal answers', async (t) => {
    const { server, ask, calls, leave } = await leading(t);
    await ask(...users(40));
    const serving = server.serve();
    await calls.came(8);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(calls.asked.length, 8);
    calls.asked[0]?.settle(ALLOW);
    // One gone and twice the room.
    await calls.came(17);
    leave.when = () => true;
    for (let done = 0; done < 40; ) {
      await calls.came(done + 1);
      calls.settle();
      done = calls.asked.length;
    }
    await serving;
    assert.equal(new Set(calls.asked.map(({ user }) => user)).size, 40);
    assert.equal(calls.asked.length, 40, 'each once');
  });

  test('takes what comes later, too, when it is woken and when it is not', async (t) => {
    const { server, ask, calls, leave } = await leading(t);
    const serving = server.serve();
    await ask('alice');
    rouse();
    await calls.came(1);
    await ask('bob');
    calls.settle();
    await calls.came(2);
    await ask('carol');
    await calls.came(3);
    leave.when = () => true;
    calls.settle();
    await serving;
  });

  test('asks for those that live, although ever so many have died before', async (t) => {
    const { server, state, ask, calls, leave, rows } = await leading(t);
    const gone = dead();
    await state.step((tx) => {
      for (let n = 0; n < 30; n++) asks(tx, gone, { request: JSON.stringify(ALICE) });
    });
    await ask('bob');
    leave.when = () => true;
    const serving = server.serve();
    await Promise.race([calls.came(1), serving]);
    calls.settle();
    await serving;
    assert.deepEqual(
      calls.asked.map(({ user }) => user),
      ['bob'],
    );
    assert.notEqual((await rows()).at(-1)?.answer, null);
  });

  test('neither asks nor keeps what nobody could use any more', async (t) => {
    const { server, state, calls, rows, leave, sibling, ask } = await leading(t);
    await state.step((tx) => asks(tx, sibling.pid, { request: JSON.stringify(ALICE), until: 0 }));
    await state.step((tx) => asks(tx, dead(), { request: JSON.stringify(ALICE) }));
    const [living] = await ask('bob');
    leave.when = () => true;
    const serving = server.serve();
    await calls.came(1);
    calls.settle();
    await serving;
    assert.deepEqual(
      calls.asked.map(({ user }) => user),
      ['bob'],
    );
    assert.deepEqual(
      (await rows()).map(({ number }) => number),
      [living?.number],
    );
  });

  test('does not ask what has come too late just now, and says why', async (t) => {
    const { server, state, calls, rows, leave, sibling } = await leading(t);
    const clock = forward(t);
    await state.step((tx) => asks(tx, sibling.pid, { request: JSON.stringify(ALICE), until: 60_000 }));
    // It is taken in time, and the machine does not come to ask for it.
    const step = state.step.bind(state);
    const slow = async <T>(work: (tx: Transaction) => T): Promise<T> => {
      const result = await step(work);
      clock.ahead = 61;
      return result;
    };
    Object.assign(state, { step: slow });
    leave.when = () => true;
    await server.serve();
    assert.equal(calls.asked.length, 0);
    assert.partialDeepStrictEqual(JSON.parse((await rows())[0]?.answer ?? ''), {
      failure: { code: 'DEADLINE_EXCEEDED', counts: 'no' },
    });
  });

  test('gives a call no longer than its hook can wait for it', async (t) => {
    const { server, state, calls, leave, sibling } = await leading(t);
    await state.step((tx) => {
      asks(tx, sibling.pid, { request: JSON.stringify(ALICE), until: 1_000 });
      asks(tx, sibling.pid, { request: JSON.stringify(ALICE), until: 3_600_000 });
    });
    leave.when = () => true;
    const serving = server.serve();
    await calls.came(2);
    assert.ok((calls.asked[0]?.budget ?? 0) <= 1_000);
    assert.equal(calls.asked[1]?.budget, settings().portal.timeout);
    calls.settle();
    await serving;
  });

  test('stays while it may not leave, and while something is on its way', async (t) => {
    const { server, ask, calls, leave, leader } = await leading(t);
    const serving = server.serve();
    assert.equal(await ended(serving, A_MOMENT), false);
    await ask('alice');
    rouse();
    await calls.came(1);
    leave.when = () => true;
    rouse();
    assert.equal(await ended(serving, A_MOMENT), false);
    assert.equal((await leader()).pid, process.pid);
    calls.settle();
    await serving;
    assert.equal((await leader()).pid, 0);
  });

  test('is told how long nobody has asked: from the last answer on, however long that took', async (t) => {
    const { server, ask, calls, leave } = await leading(t);
    const clock = forward(t);
    const idle: number[] = [];
    await ask('alice');
    const serving = server.serve();
    await calls.came(1);
    clock.ahead = 1_000;
    leave.when = (milliseconds) => {
      idle.push(milliseconds);
      clock.ahead += 1_000;
      return idle.length === 3;
    };
    calls.settle();
    await serving;
    assert.deepEqual(
      idle.map((milliseconds) => Math.floor(milliseconds / 1_000_000)),
      [0, 1, 2],
    );
  });
});

describe('a leader that the portal fails', () => {
  test('takes no more, waits for what is on its way, and gives the lead back', async (t) => {
    const { server, ask, calls, leader, rows } = await leading(t);
    await ask(...users(20));
    const serving = server.serve();
    await calls.came(8);
    calls.asked[3]?.settle(AWAY);
    assert.equal(await ended(serving, A_MOMENT), false);
    assert.equal((await leader()).pid, process.pid);
    assert.equal(calls.asked.length, 8);
    calls.settle();
    await serving;
    assert.equal(calls.asked.length, 8);
    const answered = (await rows()).filter((row) => row.answer !== null);
    assert.equal(answered.length, 8, 'each of those hears what it was');
    assert.equal((await leader()).pid, 0);
  });

  test('wakes one of those that wait on', async (t) => {
    const { server, state, ask, calls, leave } = await leading(t);
    await ask(...users(8));
    await state.step((tx) => asks(tx, process.pid, { request: JSON.stringify(ALICE) }));
    const woken = once(process, 'SIGCONT');
    leave.when = () => true;
    const serving = server.serve();
    await calls.came(8);
    calls.settle(() => AWAY);
    await serving;
    await woken;
  });

  test('gives the lead back even where the work beside it goes on', async (t) => {
    const { server, ask, calls, leader } = await leading(t);
    await ask(...users(9));
    // As a drain has it, which may work for minutes: it says so whatever happens.
    const serving = server.serve();
    await calls.came(1);
    calls.settle(() => AWAY);
    assert.equal(await ended(serving, LONGEST), true);
    assert.equal((await leader()).pid, 0);
  });

  test('is one that the portal has failed, not one that this machine was too slow for', async (t) => {
    const { server, ask, calls, leave } = await leading(t);
    await ask(...users(9));
    const serving = server.serve();
    await calls.came(8);
    calls.settle(() => failure('no', 'DEADLINE_EXCEEDED'));
    await calls.came(9);
    leave.when = () => true;
    calls.settle();
    await serving;
  });

  for (const code of [
    'UNAVAILABLE',
    'DEADLINE_EXCEEDED',
    'INTERNAL',
    'UNAUTHENTICATED',
    'LOCAL',
    'RESOURCE_EXHAUSTED',
  ]) {
    for (const counts of ['unreached', 'provokable', 'no'] as const) {
      if (code === 'DEADLINE_EXCEEDED' && counts === 'no') continue;
      test(`is one that was told ${code} (${counts}), and that one is told it`, async (t) => {
        const { server, ask, calls, rows, leader } = await leading(t);
        await ask(...users(9));
        const serving = server.serve();
        await calls.came(8);
        calls.settle(() => failure(counts, code));
        await serving;
        assert.equal(calls.asked.length, 8);
        const answers = (await rows()).map((row) => JSON.parse(row.answer ?? 'null'));
        assert.deepEqual(answers, [...Array(8).fill(failure(counts, code)), null]);
        assert.equal((await leader()).pid, 0);
      });
    }
  }

  for (const counts of ['unreached', 'provokable'] as const) {
    test(`over a connection that stood says nothing by a silence (${counts}): the next one asks again`, async (t) => {
      const { server, ask, calls, rows, leader, state, leave } = await leading(t);
      await ask(...users(2));
      const serving = server.serve();
      await calls.came(2);
      calls.isConnected = true;
      await ask('later', 'latest');
      rouse();
      await calls.came(4);
      // These two were sent before there was a connection, those over it.
      calls.asked[0]?.settle(failure(counts, 'DEADLINE_EXCEEDED'));
      calls.asked[2]?.settle(failure(counts, 'DEADLINE_EXCEEDED'));
      calls.asked[3]?.settle(ALLOW);
      calls.asked[1]?.settle(ALLOW);
      leave.when = () => true;
      await serving;
      assert.deepEqual(
        (await rows()).map(({ taken, answer: text }) => [taken, JSON.parse(text ?? 'null')]),
        [
          [1, failure(counts, 'DEADLINE_EXCEEDED')],
          [1, ALLOW],
          [0, null],
          [1, ALLOW],
        ],
      );
      assert.equal((await leader()).pid, 0);
      await state.step((tx) => {
        takeLead(tx, PORTAL);
        assert.deepEqual(
          takeQuestions(tx, 2, 9).map(({ request }) => JSON.parse(request).username),
          ['later'],
        );
      });
    });
  }

  test('asks again itself where only this machine was too slow, over a connection that stood', async (t) => {
    const { server, ask, calls, rows, leave } = await leading(t);
    calls.isConnected = true;
    await ask('alice');
    const serving = server.serve();
    await calls.came(1);
    calls.asked[0]?.settle(failure('no', 'DEADLINE_EXCEEDED'));
    await calls.came(2);
    leave.when = () => true;
    calls.asked[1]?.settle(DENY);
    await serving;
    assert.deepEqual(JSON.parse((await rows())[0]?.answer ?? ''), DENY);
  });

  test('asks again once, and passes on a second silence', async (t) => {
    const { server, ask, calls, rows, leave } = await leading(t);
    calls.isConnected = true;
    await ask('alice');
    const serving = server.serve();
    await calls.came(1);
    calls.asked[0]?.settle(failure('no', 'DEADLINE_EXCEEDED'));
    await calls.came(2);
    leave.when = () => true;
    calls.asked[1]?.settle(failure('no', 'DEADLINE_EXCEEDED'));
    await serving;
    assert.deepEqual(JSON.parse((await rows())[0]?.answer ?? ''), failure('no', 'DEADLINE_EXCEEDED'));
  });

  test('by an error of our own is one, too', async (t) => {
    const { server, ask, calls, rows, leader } = await leading(t);
    await ask('alice');
    const serving = server.serve();
    await calls.came(1);
    calls.asked[0]?.fail(new Error('a bug'));
    await serving;
    assert.partialDeepStrictEqual(JSON.parse((await rows())[0]?.answer ?? ''), {
      failure: { code: 'LOCAL', counts: 'no', detail: 'Error: a bug' },
    });
    assert.equal((await leader()).pid, 0);
  });

  test('goes at once when it is retired with nothing on its way', async (t) => {
    const { server, calls, leader } = await leading(t);
    const serving = server.serve();
    assert.equal(await ended(serving, A_MOMENT), false);
    server.retire();
    await serving;
    assert.equal(calls.asked.length, 0);
    assert.equal((await leader()).pid, 0);
  });

  test('takes nothing when it was retired before it began', async (t) => {
    const { server, ask, calls, leader } = await leading(t);
    await ask('alice');
    server.retire();
    await server.serve();
    assert.equal(calls.asked.length, 0);
    assert.equal((await leader()).pid, 0);
  });
});

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
