import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { Transaction } from '../../src/state/transaction.ts';
import { rouse } from '../../src/state/wake.ts';
import { settings } from './fixture.ts';
import { ALICE, ALLOW, answer } from './portal.ts';
import { A_MOMENT, ended, forward, leading, users } from './served.ts';
import { asks, dead } from './siblings.ts';

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
