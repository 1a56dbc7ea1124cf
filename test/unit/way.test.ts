import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import {
  ALONE,
  leaveWay,
  type MayLead,
  type WaitLimits,
  type WayMeans,
  wayToPortal,
} from '../../src/policy/way.ts';
import type { Instant } from '../../src/resilience/instant.ts';
import { SILENT_MS } from '../../src/state/leader.ts';
import { answer, type Question, takeQuestions } from '../../src/state/questions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import { at, ledger } from './fixture.ts';
import { ALICE } from './portal.ts';
import { asks, dead, leaderRow, leads, PORTAL, questionRows, stranger } from './siblings.ts';

const LIMITS: WaitLimits = { takenBy: at(1_000).mono, answeredBy: at(1_500).mono };

const means = (mayLead: MayLead, rest: Partial<WayMeans> = {}): WayMeans => ({
  portal: () => PORTAL,
  waitLimits: LIMITS,
  mayLead,
  expectsSiblings: false,
  ...rest,
});

async function state(t: TestContext) {
  const on = await ledger(t);
  const way = (
    now: Instant,
    waiting: Question | null = null,
    mayLead: MayLead = 'afterwards',
    rest: Partial<WayMeans> = {},
  ) => on(now, (tx) => wayToPortal(tx, nextInSequence(tx) ?? 0, ALICE, waiting, means(mayLead, rest)));
  return { on, way, questions: () => on(at(0), questionRows) };
}

/** As the one that leads has it. */
function waitingOf(way: ReturnType<typeof wayToPortal>): Question {
  if (way.kind !== 'wait') assert.fail(`it ${way.kind}s`);
  return way.question;
}

describe('a process that comes first', () => {
  test('leads where nobody does, and asks nothing of anybody', async (t) => {
    const { way, questions, on } = await state(t);
    assert.deepEqual(way(at(0)), { kind: 'lead', term: 1 });
    assert.deepEqual(way(at(0), null, 'meanwhile'), { kind: 'lead', term: 2 });
    assert.equal(on(at(0), leaderRow).pid, process.pid);
    assert.deepEqual(questions(), []);
  });

  test('goes alone where it may not lead, and takes the lead from nobody', async (t) => {
    const { way, questions, on } = await state(t);
    assert.deepEqual(way(at(0), null, 'no'), ALONE);
    assert.deepEqual(on(at(0), leaderRow).pid, 0);
    assert.deepEqual(questions(), []);
  });

  test('leads in the place of one that died or fell silent', async (t) => {
    const { way, on } = await state(t);
    on(at(0), (tx) => leads(tx, dead()));
    assert.deepEqual(way(at(1)), { kind: 'lead', term: 2 });
    on(at(0), (tx) => leads(tx, stranger(t).pid));
    assert.deepEqual(way(at(SILENT_MS)), { kind: 'lead', term: 4 });
  });

  test('leads in the place of one that asks another portal, whoever waits for that', async (t) => {
    const { way, on, questions } = await state(t);
    const { pid } = stranger(t);
    for (const waited of [null, { number: 1, pid: process.pid }]) {
      on(at(0), (tx) => {
        leads(tx, pid, 'another portal');
        asks(tx, pid);
      });
      assert.equal(way(at(1), waited).kind, 'lead');
      assert.partialDeepStrictEqual(on(at(1), leaderRow), { pid: process.pid, portal: PORTAL });
      assert.deepEqual(questions(), []);
    }
  });

  test('goes alone beside one that asks another portal, where it may not lead', async (t) => {
    const { way, on, questions } = await state(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      leads(tx, pid, 'another portal');
      asks(tx, pid);
    });
    assert.deepEqual(way(at(1), null, 'no'), ALONE);
    assert.equal(questions().length, 1);
    assert.partialDeepStrictEqual(on(at(1), leaderRow), { pid, portal: 'another portal' });
  });

  test('looks which portal is asked by now, not which it was at first', async (t) => {
    const { way, on } = await state(t);
    on(at(0), (tx) => leads(tx, stranger(t).pid));
    const names = [PORTAL, 'since changed'];
    const portal = (): string => names.shift() ?? '';
    assert.equal(way(at(1), null, 'afterwards', { portal }).kind, 'wait');
    assert.equal(way(at(1), null, 'afterwards', { portal }).kind, 'lead');
  });

  test('clears away what nobody needs any more when it takes the lead', async (t) => {
    const { way, on, questions } = await state(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      leads(tx, 0);
      asks(tx, pid, { until: 10 });
      asks(tx, pid, { until: 11 });
    });
    assert.equal(way(at(10)).kind, 'lead');
    assert.equal(questions().length, 1);
  });

  for (const mayLead of ['no', 'meanwhile', 'afterwards'] as const) {
    test(`leaves a question to one that leads (it may lead: ${mayLead})`, async (t) => {
      const { way, on } = await state(t);
      const { pid } = stranger(t);
      on(at(0), (tx) => leads(tx, pid));
      const chosen = way(at(0), null, mayLead);
      assert.partialDeepStrictEqual(chosen, { kind: 'wait', leader: { term: 1, pid } });
      const [open] = on(at(0), (tx) => takeQuestions(tx, 1, 9));
      assert.deepEqual(JSON.parse(open?.request ?? ''), ALICE);
      assert.partialDeepStrictEqual(open, { ...waitingOf(chosen), until: LIMITS.answeredBy });
    });
  }

  test('goes alone where there was never time to wait for anybody', async (t) => {
    const { way, on, questions } = await state(t);
    on(at(0), (tx) => leads(tx, stranger(t).pid));
    assert.deepEqual(way(at(1_000)), ALONE);
    assert.deepEqual(questions(), []);
    assert.equal(way(at(999)).kind, 'wait');
  });
});

describe('a process that has waited', () => {
  const waiting = async (t: TestContext) => {
    const all = await state(t);
    const leader = stranger(t);
    all.on(at(0), (tx) => leads(tx, leader.pid));
    return { ...all, leader, question: waitingOf(all.way(at(0))) };
  };

  test('waits on with the same question while somebody leads', async (t) => {
    const { way, on, question, questions } = await waiting(t);
    assert.deepEqual(waitingOf(way(at(500), question)), question);
    const other = stranger(t);
    on(at(500), (tx) => leads(tx, other.pid));
    assert.partialDeepStrictEqual(way(at(600), question), { question, leader: { pid: other.pid } });
    assert.equal(questions().length, 1);
  });

  test('asks anew where the state no longer knows its question', async (t) => {
    const { way, on, question, questions } = await waiting(t);
    on(at(0), (tx) => tx.write('DELETE FROM question'));
    assert.ok(waitingOf(way(at(500), question)).number > question.number);
    assert.equal(questions().length, 1);
  });

  test('takes the lead of one that has died, and its question with it', async (t) => {
    const { way, leader, question, questions } = await waiting(t);
    await leader.kill();
    assert.deepEqual(way(at(1), question), { kind: 'lead', term: 2 });
    assert.deepEqual(questions(), []);
  });

  test('asks by itself where it may not lead, and its question goes with it', async (t) => {
    const { way, leader, question, questions } = await waiting(t);
    await leader.kill();
    assert.deepEqual(way(at(1), question, 'no'), ALONE);
    assert.deepEqual(questions(), []);
  });

  test('asks by itself beside a leader that is too slow, and is not asked for any more', async (t) => {
    const { way, on, question } = await waiting(t);
    assert.equal(way(at(999), question).kind, 'wait');
    assert.deepEqual(way(at(1_000), question), { kind: 'alone', question });
    assert.deepEqual(
      on(at(1_000), (tx) => takeQuestions(tx, 1, 9)),
      [],
    );
  });

  test('waits on where too many do so already', async (t) => {
    const { way, on, question } = await waiting(t);
    const bound = 4 * availableParallelism();
    on(at(0), (tx) => {
      for (let n = 0; n < bound; n++) asks(tx, process.ppid, { taken: -1 });
    });
    assert.partialDeepStrictEqual(way(at(1_000), question), { kind: 'wait', question });
    on(at(0), (tx) => tx.write('DELETE FROM question WHERE number = (SELECT max(number) FROM question)'));
    assert.deepEqual(way(at(1_000), question), { kind: 'alone', question });
  });

  test('for which there was no place looks for one again each second, and at the end', async (t) => {
    const { way, on, question } = await waiting(t);
    on(at(0), (tx) => {
      for (let n = 0; n < 4 * availableParallelism(); n++) asks(tx, process.ppid, { taken: -1 });
    });
    const takenBy = (now: number, waited: Question | null, answeredBy: number): number => {
      const limits = { takenBy: LIMITS.takenBy, answeredBy: at(answeredBy).mono };
      // As silent as it was before: it leads all the same.
      on(at(now), (tx) => tx.write('UPDATE leader SET mono = ?, wall = ?', tx.now.mono, tx.now.wall));
      const chosen = way(at(now), waited, 'afterwards', { waitLimits: limits });
      if (chosen.kind !== 'wait') assert.fail(`it goes ${chosen.kind}`);
      return chosen.takenBy - at(0).mono;
    };
    assert.equal(takenBy(999, question, 9_000), 1_000, 'in time it has the limit');
    assert.equal(takenBy(1_000, question, 9_000), 2_000);
    assert.equal(takenBy(1_700, question, 9_000), 2_700);
    assert.equal(takenBy(8_500, question, 9_000), 9_000);
    assert.equal(takenBy(1_000, question, 1_500), 1_500);
  });

  test('does not go alone when its answer is there', async (t) => {
    const { way, on, question } = await waiting(t);
    on(at(0), (tx) => answer(tx, question, '{}'));
    assert.deepEqual(waitingOf(way(at(1_000), question)), question);
  });
});

describe('a process that has its answer', () => {
  test('withdraws its question, and no other, and leaves the lead to whoever has it', async (t) => {
    const { on } = await state(t);
    const leader = stranger(t);
    for (const kind of ['wait', 'alone'] as const) {
      on(at(0), (tx) => {
        leads(tx, leader.pid);
        const question = asks(tx, process.pid);
        const other = asks(tx, leader.pid);
        const way = {
          kind,
          question,
          leader: { term: 1, pid: leader.pid },
          portal: 'a portal',
          takenBy: LIMITS.takenBy,
        };
        assert.deepEqual(leaveWay(tx, way, means('afterwards')), { leads: null, wakes: null });
        assert.deepEqual(
          questionRows(tx).map(({ number }) => number),
          [other.number],
        );
        assert.equal(leaderRow(tx).pid, leader.pid);
        tx.write('DELETE FROM question');
      });
    }
  });

  test('has nothing to leave where it went alone from the beginning', async (t) => {
    const { on } = await state(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      leads(tx, pid);
      asks(tx, pid);
      assert.deepEqual(leaveWay(tx, ALONE, means('afterwards')), { leads: null, wakes: null });
      assert.equal(questionRows(tx).length, 1);
      assert.equal(leaderRow(tx).pid, pid);
    });
  });

  test('gives the lead back where nobody waits', async (t) => {
    const { on, way } = await state(t);
    for (const mayLead of ['meanwhile', 'afterwards'] as const) {
      const led = way(at(0));
      on(at(0), (tx) => {
        asks(tx, dead());
        asks(tx, process.ppid, { answer: '{}' });
        asks(tx, process.ppid, { taken: -1 });
        assert.deepEqual(leaveWay(tx, led, means(mayLead)), { leads: null, wakes: null });
        assert.equal(leaderRow(tx).pid, 0);
      });
    }
  });

  test('goes on leading where somebody waits, if it can', async (t) => {
    const { on, way } = await state(t);
    const { pid } = stranger(t);
    const led = way(at(0));
    on(at(0), (tx) => {
      asks(tx, pid, { taken: 1 });
      assert.deepEqual(leaveWay(tx, led, means('afterwards')), { leads: 1, wakes: null });
      assert.partialDeepStrictEqual(leaderRow(tx), { term: 1, pid: process.pid });
    });
  });

  test('goes on leading although nobody waits yet, where others are to be expected and it can', async (t) => {
    const { on, way } = await state(t);
    for (const [mayLead, goesOn] of [
      ['afterwards', true],
      ['meanwhile', false],
    ] as const) {
      const led = way(at(0));
      on(at(0), (tx) => {
        const left = leaveWay(tx, led, means(mayLead, { expectsSiblings: true }));
        const { term, pid } = leaderRow(tx);
        assert.deepEqual(left, { leads: goesOn ? term : null, wakes: null });
        assert.equal(pid, goesOn ? process.pid : 0);
      });
    }
  });

  test('wakes the next one where it cannot', async (t) => {
    const { on, way } = await state(t);
    const [first, second] = [stranger(t), stranger(t)];
    const led = way(at(0));
    on(at(0), (tx) => {
      asks(tx, dead());
      asks(tx, first.pid, { taken: 1 });
      asks(tx, second.pid);
      assert.deepEqual(leaveWay(tx, led, means('meanwhile')), { leads: null, wakes: first.pid });
      assert.equal(leaderRow(tx).pid, 0);
    });
  });

  test('leaves the lead of whoever has taken it since', async (t) => {
    const { on, way } = await state(t);
    const { pid } = stranger(t);
    const led = way(at(0));
    on(at(0), (tx) => {
      leads(tx, pid);
      asks(tx, pid);
      for (const expectsSiblings of [false, true]) {
        for (const mayLead of ['meanwhile', 'afterwards'] as const) {
          const left = leaveWay(tx, led, means(mayLead, { expectsSiblings }));
          assert.deepEqual(left, { leads: null, wakes: null });
          assert.equal(leaderRow(tx).pid, pid);
        }
      }
    });
  });
});
