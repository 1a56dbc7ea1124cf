import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { takeLead } from '../../src/state/leader.ts';
import { takeQuestions } from '../../src/state/questions.ts';
import { rouse } from '../../src/state/wake.ts';
import { ALICE, ALLOW, AWAY, DENY, failure } from './portal.ts';
import { A_MOMENT, ended, LONGEST, leading, users } from './served.ts';
import { asks, PORTAL } from './siblings.ts';

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

  test('passes on no silence of a connection that is older than its term, as long as that has brought no answer', async (t) => {
    const { server, ask, calls, rows, state } = await leading(t, true, true);
    calls.isConnected = true;
    await ask('alice', 'bob');
    await state.step((tx) => tx.write('UPDATE question SET again = 1'));
    const serving = server.serve();
    await calls.came(2);
    const silent = failure('provokable', 'DEADLINE_EXCEEDED');
    calls.asked[0]?.settle(silent);
    await ended(serving, A_MOMENT);
    calls.asked[1]?.settle(ALLOW);
    await serving;
    const answers = (await rows()).map(({ taken, answer: text }) => [taken, JSON.parse(text ?? 'null')]);
    assert.deepEqual(answers, [
      [0, null],
      [1, ALLOW],
    ]);
  });

  test('asks again once also over such a connection where only this machine was too slow', async (t) => {
    const { server, ask, calls, rows, leave } = await leading(t, true, true);
    calls.isConnected = true;
    await ask('alice');
    const serving = server.serve();
    await calls.came(1);
    const slow = failure('no', 'DEADLINE_EXCEEDED');
    calls.asked[0]?.settle(slow);
    await calls.came(2);
    leave.when = () => true;
    calls.asked[1]?.settle(slow);
    await serving;
    assert.deepEqual(JSON.parse((await rows())[0]?.answer ?? ''), slow);
    assert.equal(calls.asked.length, 2);
  });

  test('passes on the silence of one that has brought an answer since', async (t) => {
    const { server, ask, calls, rows, state } = await leading(t, true, true);
    calls.isConnected = true;
    await ask('alice', 'bob');
    await state.step((tx) => tx.write('UPDATE question SET again = 1'));
    const serving = server.serve();
    await calls.came(2);
    const silent = failure('provokable', 'DEADLINE_EXCEEDED');
    calls.asked[1]?.settle(ALLOW);
    await ended(serving, A_MOMENT);
    calls.asked[0]?.settle(silent);
    await serving;
    assert.deepEqual(
      (await rows()).map(({ answer: text }) => JSON.parse(text ?? 'null')),
      [silent, ALLOW],
    );
  });

  for (const [what, result] of [
    ['failure', AWAY],
    ['silence', failure('no', 'DEADLINE_EXCEEDED')],
  ] as const) {
    test(`that has lost the lead passes on no ${what} to whom the next one is asking for`, async (t) => {
      const { server, ask, calls, state, rows } = await leading(t);
      calls.isConnected = true;
      await ask('carol');
      const serving = server.serve();
      await calls.came(1);
      await state.step((tx) => {
        tx.write('UPDATE leader SET term = 2, pid = 1');
        tx.write('UPDATE question SET taken = 2');
      });
      calls.asked[0]?.settle(result);
      await serving;
      assert.deepEqual(
        (await rows()).map(({ taken, answer: text }) => [taken, text]),
        [[2, null]],
      );
    });
  }

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
