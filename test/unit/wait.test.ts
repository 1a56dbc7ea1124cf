import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import type { PortalResult } from '../../src/policy/types.ts';
import { waitForAnswer } from '../../src/policy/wait.ts';
import type { WaitLimits } from '../../src/policy/way.ts';
import { milliseconds } from '../../src/state/clock.ts';
import { answer, type Question, withdraw } from '../../src/state/questions.ts';
import type { State } from '../../src/state/state.ts';
import { wake } from '../../src/state/wake.ts';
import { openState, scratch } from './fixture.ts';
import { ALLOW, AWAY } from './portal.ts';
import { asks, keepAlive, leads, PORTAL, questionRows, stranger } from './siblings.ts';

const HOUR = 3_600_000;

async function waiting(t: TestContext, taken = 0) {
  const path = join(scratch(t), 'state.db');
  const state = await openState(path);
  const leader = stranger(t);
  const question = await state.step((tx) => {
    leads(tx, leader.pid);
    return asks(tx, process.pid, { taken });
  });
  keepAlive(state);
  return { path, state, leader, question };
}

const limits = (takenBy: number, answeredBy: number): WaitLimits => ({
  takenBy: milliseconds() + takenBy,
  answeredBy: milliseconds() + answeredBy,
});

/** @param takenBy of the way, where it is another than the limit: one who found no place looks again sooner. */
const waits = (
  state: State,
  question: Question,
  waitLimits: WaitLimits,
  { takenBy = waitLimits.takenBy, portal = PORTAL } = {},
) =>
  waitForAnswer(
    state,
    { kind: 'wait', question, leader: { term: 1, pid: process.pid }, portal, takenBy },
    { waitLimits },
  );

/** By then no answer is waited for any more, and that is nobody's fault but this machine's. */
function assertOutOfTime(result: PortalResult | null): void {
  assert.partialDeepStrictEqual(result, { failure: { code: 'DEADLINE_EXCEEDED', counts: 'no' } });
}

const answers = (state: State, question: Question, text: string) =>
  state.step((tx) => answer(tx, question, text));

describe('who waits for an answer', () => {
  for (const [what, result] of [
    ['an answer', ALLOW],
    ['a failure', AWAY],
  ] as const) {
    test(`has ${what} as soon as it is there and it is woken`, async (t) => {
      const { state, question } = await waiting(t);
      const heard = waits(state, question, limits(HOUR, HOUR));
      await answers(state, question, JSON.stringify(result));
      wake(process.pid);
      assert.deepEqual(await heard, result);
    });
  }

  test('has it also when nobody wakes it, and when it was there before', async (t) => {
    const { state, question } = await waiting(t);
    const heard = waits(state, question, limits(HOUR, HOUR));
    await answers(state, question, JSON.stringify(ALLOW));
    assert.deepEqual(await heard, ALLOW);
    assert.deepEqual(await waits(state, question, limits(HOUR, HOUR)), ALLOW);
    assert.deepEqual(await waits(state, question, limits(-1, -1)), ALLOW, 'however late');
  });

  test('has it although its leader has gone since', async (t) => {
    const { state, leader, question } = await waiting(t);
    await answers(state, question, JSON.stringify(ALLOW));
    await leader.kill();
    assert.deepEqual(await waits(state, question, limits(HOUR, HOUR)), ALLOW);
  });

  test('takes no notice of signals that tell nothing', async (t) => {
    const { state, question } = await waiting(t);
    const heard = waits(state, question, limits(HOUR, HOUR));
    for (let n = 0; n < 50; n++) {
      wake(process.pid);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await answers(state, question, JSON.stringify(ALLOW));
    assert.deepEqual(await heard, ALLOW);
  });

  test('waits no longer once its leader has died', async (t) => {
    for (const taken of [0, 1]) {
      const { state, leader, question } = await waiting(t, taken);
      const heard = waits(state, question, limits(HOUR, HOUR));
      await leader.kill();
      assert.equal(await heard, null);
    }
  });

  test('nor once it has given the lead back', async (t) => {
    const { state, question } = await waiting(t);
    const heard = waits(state, question, limits(HOUR, HOUR));
    await state.step((tx) => tx.write('UPDATE leader SET pid = 0'));
    assert.equal(await heard, null);
  });

  test('nor once it was silent for too long', async (t) => {
    const path = join(scratch(t), 'state.db');
    const state = await openState(path);
    const { pid } = stranger(t);
    const question = await state.step((tx) => {
      leads(tx, pid);
      tx.write('UPDATE leader SET mono = mono - 1_900, wall = wall - 1_900');
      return asks(tx, process.pid, { taken: 1 });
    });
    assert.equal(await waits(state, question, limits(HOUR, HOUR)), null);
  });

  test('nor once its question is no longer known', async (t) => {
    const { state, question } = await waiting(t);
    const heard = waits(state, question, limits(HOUR, HOUR));
    await state.step((tx) => withdraw(tx, question));
    assert.equal(await heard, null);
  });

  test('until it is taken waits for the first limit, and then for the second', async (t) => {
    const open = await waiting(t);
    const first = limits(300, HOUR);
    assert.equal(await waits(open.state, open.question, first), null);
    assert.ok(milliseconds() >= first.takenBy);
    const taken = await waiting(t, 1);
    const second = limits(1, 300);
    assertOutOfTime(await waits(taken.state, taken.question, second));
    assert.ok(milliseconds() >= second.answeredBy);
  });

  test('looks again by the moment that it was given: a place beside the leader may be free by then', async (t) => {
    const { state, question } = await waiting(t);
    const takenBy = milliseconds() + 300;
    assert.equal(await waits(state, question, limits(-1, HOUR), { takenBy }), null);
    assert.ok(milliseconds() >= takenBy);
  });

  test('has a failure when nobody has answered by the end, whatever has become of its question', async (t) => {
    for (const taken of [0, 1]) {
      const { state, question, leader } = await waiting(t, taken);
      assertOutOfTime(await waits(state, question, limits(-2, -1)));
      await leader.kill();
      assertOutOfTime(await waits(state, question, limits(-2, -1)));
      await state.step((tx) => withdraw(tx, question));
      assertOutOfTime(await waits(state, question, limits(-2, -1)));
    }
  });

  test('waits for no leader that asks another portal, or this one in another way', async (t) => {
    for (const taken of [0, 1]) {
      const { state, question } = await waiting(t, taken);
      assert.equal(await waits(state, question, limits(HOUR, HOUR), { portal: 'since changed' }), null);
    }
  });

  for (const text of ['{}', 'null', '{"answer":{"allowed":true}}', '{"answer":true}', '"allowed"']) {
    test(`is told nothing by ${text}`, async (t) => {
      const { state, question } = await waiting(t);
      await answers(state, question, text);
      assert.equal(await waits(state, question, limits(HOUR, HOUR)), null);
      assert.deepEqual(await state.step(questionRows), [], 'and nobody is told it again');
    });
  }

  test('is told nothing by an answer to another one', async (t) => {
    const { state, leader, question } = await waiting(t);
    await state.step((tx) => {
      asks(tx, leader.pid, { answer: JSON.stringify(ALLOW) });
      asks(tx, process.pid, { answer: JSON.stringify(ALLOW) });
      tx.write('UPDATE question SET pid = ?, answer = ? WHERE number = ?', leader.pid, '{}', question.number);
    });
    assert.equal(await waits(state, question, limits(HOUR, HOUR)), null);
  });

  test('goes on without where the state cannot be read any more', async (t) => {
    const { state, path, question } = await waiting(t);
    const heard = waits(state, question, limits(HOUR, HOUR));
    const db = new Database(path);
    db.exec('DROP TABLE question');
    db.close();
    assert.equal(await heard, null);
    rmSync(path);
  });
});
