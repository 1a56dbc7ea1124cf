import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  answer,
  answerTo,
  ask,
  goAlone,
  isAsking,
  pruneQuestions,
  takeQuestions,
  whoWaits,
  withdraw,
} from '../../src/state/questions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { asks, dead, questionRows, stranger } from './siblings.ts';

const numbers = (questions: readonly { number: number }[]): number[] => questions.map(({ number }) => number);

const mine = (tx: Transaction) => ask(tx, nextInSequence(tx) ?? 0, '{}', tx.now.mono + 1_000);

describe('somebody is asked for', () => {
  test('only by a question that a leader has taken, that is not answered, and whose process still waits', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      assert.equal(isAsking(tx), false);
      asks(tx, pid);
      asks(tx, pid, { taken: -1 });
      asks(tx, pid, { taken: 3, answer: '{}' });
      asks(tx, dead(), { taken: 3 });
      assert.equal(isAsking(tx), false);
      const { number } = asks(tx, pid, { taken: 2 });
      assert.equal(isAsking(tx), true);
      withdraw(tx, { number, pid });
      assert.equal(isAsking(tx), false);
    });
  });
});

describe('a question', () => {
  test('is kept with who asks what, until when, under the number it was given', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      const question = ask(tx, 17, '{"a":"\\u0000"}', at(1_000).mono + 0.6);
      assert.deepEqual(question, { number: 17, pid: process.pid });
      assert.deepEqual(tx.rows('SELECT * FROM question'), [
        {
          number: 17,
          pid: process.pid,
          boot: 'boot-1',
          until: at(1_001).mono,
          request: '{"a":"\\u0000"}',
          taken: 0,
          again: 0,
          answer: null,
        },
      ]);
    });
  });

  test('is under a number that nobody else has', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => ask(tx, 17, '{}', 0));
    assert.throws(() => on(at(0), (tx) => ask(tx, 17, '{}', 0)), /UNIQUE/);
  });

  test('stands open, taken, answered, and is gone when it is withdrawn', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      const question = mine(tx);
      assert.equal(answerTo(tx, question, 1), 'open');
      takeQuestions(tx, 1, 10);
      assert.equal(answerTo(tx, question, 1), 'taken');
      assert.equal(answerTo(tx, question, 2), 'open', 'to whoever leads after that one');
      assert.equal(answerTo(tx, question, null), 'open');
      answer(tx, question, '{"x":1}');
      assert.deepEqual(answerTo(tx, question, 1), { answer: '{"x":1}' });
      withdraw(tx, question);
      assert.equal(answerTo(tx, question, 1), 'gone');
    });
  });

  test('is its own process’: nobody else sees its answer, or withdraws it', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const question = mine(tx);
      const other = { ...question, pid };
      assert.equal(answerTo(tx, other, 1), 'gone');
      withdraw(tx, other);
      assert.equal(goAlone(tx, other, 10), false);
      assert.equal(answerTo(tx, question, 1), 'open');
    });
  });
});

describe('the leader', () => {
  test('takes the oldest first, as many as it wants, and each once in its term', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const asked = numbers([1, 2, 3, 4, 5].map(() => asks(tx, pid)));
      assert.deepEqual(numbers(takeQuestions(tx, 7, 2)), asked.slice(0, 2));
      assert.deepEqual(numbers(takeQuestions(tx, 7, 2)), asked.slice(2, 4));
      assert.deepEqual(numbers(takeQuestions(tx, 7, 0)), []);
      assert.deepEqual(numbers(takeQuestions(tx, 7, 9)), asked.slice(4));
      assert.deepEqual(takeQuestions(tx, 7, 9), []);
    });
  });

  test('is given who asks what, and until when', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const { number } = asks(tx, pid, { request: '{"username":"alice"}', until: 1_234 });
      assert.deepEqual(takeQuestions(tx, 1, 1), [
        { number, pid, request: '{"username":"alice"}', until: at(1_234).mono, again: 0 },
      ]);
    });
  });

  test('takes again what the one before has taken and not answered', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const [first, second] = [asks(tx, pid), asks(tx, pid)];
      takeQuestions(tx, 1, 9);
      answer(tx, first, '{}');
      assert.deepEqual(numbers(takeQuestions(tx, 2, 9)), [second.number]);
      assert.deepEqual(takeQuestions(tx, 2, 9), []);
    });
  });

  test('passes over those whose process has died, or has gone alone', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      asks(tx, dead());
      const alone = mine(tx);
      assert.equal(goAlone(tx, alone, 1), true);
      const { number } = asks(tx, pid);
      assert.deepEqual(numbers(takeQuestions(tx, 1, 9)), [number]);
      assert.deepEqual(numbers(takeQuestions(tx, 2, 9)), [number]);
    });
  });

  test('takes those that live although ever so many dead ones asked before them', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const gone = dead();
      for (let n = 0; n < 20; n++) asks(tx, gone);
      const { number } = asks(tx, pid);
      assert.deepEqual(numbers(takeQuestions(tx, 1, 8)), [number]);
    });
  });

  test('answers only what still waits, once, and only the process that asked', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      const question = asks(tx, pid);
      assert.equal(answer(tx, { ...question, pid: process.pid }, '{"to":"a stranger"}'), false);
      assert.equal(answer(tx, { ...question, number: question.number + 1 }, '{}'), false);
      assert.equal(answerTo(tx, question, 1), 'open');
      assert.equal(answer(tx, question, '{"n":1}'), true);
      assert.equal(answer(tx, question, '{"n":2}'), false, 'one who was taken to be stuck comes late');
      assert.deepEqual(answerTo(tx, question, 1), { answer: '{"n":1}' });
      withdraw(tx, question);
      assert.equal(answer(tx, question, '{"n":3}'), false);
      assert.deepEqual(questionRows(tx), []);
    });
  });

  test('cannot write what is no JSON', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    const question = on(at(0), (tx) => asks(tx, pid));
    assert.throws(() => on(at(0), (tx) => answer(tx, question, 'yes, let him in')), /CHECK/);
    assert.throws(() => on(at(0), (tx) => asks(tx, pid, { request: 'let me in' })), /CHECK/);
  });
});

describe('a process that goes alone', () => {
  test('is one of so many at once, of those that live', async (t) => {
    const on = await ledger(t);
    const siblings = [stranger(t), stranger(t)];
    on(at(0), (tx) => {
      const question = mine(tx);
      for (const { pid } of siblings) asks(tx, pid, { taken: -1 });
      for (let n = 0; n < 5; n++) asks(tx, dead(), { taken: -1 });
      assert.equal(goAlone(tx, question, 2), false);
      assert.equal(answerTo(tx, question, 1), 'open');
      assert.equal(goAlone(tx, question, 3), true);
      assert.deepEqual(takeQuestions(tx, 1, 99), []);
    });
    await siblings[0]?.kill();
    on(at(0), (tx) => assert.equal(goAlone(tx, mine(tx), 2), false, 'this process and the other sibling'));
    await siblings[1]?.kill();
    on(at(0), (tx) => assert.equal(goAlone(tx, mine(tx), 2), true));
  });

  test('may do so also with one that a leader has taken, and not with one that is answered', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      const [taken, answered] = [mine(tx), mine(tx)];
      takeQuestions(tx, 1, 9);
      answer(tx, answered, '{}');
      assert.equal(goAlone(tx, answered, 9), false);
      assert.deepEqual(answerTo(tx, answered, 1), { answer: '{}' });
      assert.equal(goAlone(tx, taken, 9), true);
      assert.deepEqual(takeQuestions(tx, 2, 9), []);
    });
  });

  test('does not where it cannot write that down', async (t) => {
    const on = await ledger(t);
    const question = on(at(0), mine);
    assert.equal(
      on(at(0), (tx) => goAlone(tx, question, 9), false),
      false,
    );
  });
});

describe('who waits', () => {
  test('is the one that has waited longest, of those that live and have no answer', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    on(at(0), (tx) => {
      assert.equal(whoWaits(tx), null);
      asks(tx, dead());
      asks(tx, dead(), { taken: 1 });
      asks(tx, process.ppid, { answer: '{}' });
      asks(tx, process.ppid, { taken: -1 });
      assert.equal(whoWaits(tx), null);
      const taken = asks(tx, pid, { taken: 1 });
      asks(tx, process.ppid);
      assert.equal(whoWaits(tx), pid, 'one that was taken waits, too');
      withdraw(tx, taken);
      assert.equal(whoWaits(tx), process.ppid);
    });
  });
});

describe('what nobody needs any more', () => {
  test('is what was asked until now, or in another boot; nothing else goes', async (t) => {
    const on = await ledger(t);
    const { pid } = stranger(t);
    const stays = on(at(0), (tx) => {
      const until = (milliseconds: number, rest = {}) => asks(tx, pid, { until: milliseconds, ...rest });
      const each = [{}, { answer: '{}' }, { taken: 3 }, { taken: -1 }];
      for (const rest of each) until(1_000, rest);
      until(99_000, { boot: 'boot-0' });
      return each.map((rest) => until(1_001, rest));
    });
    on(at(999), pruneQuestions);
    assert.equal(on(at(999), questionRows).length, 8, 'but that of another boot');
    on(at(1_000), pruneQuestions);
    assert.deepEqual(numbers(on(at(1_000), questionRows)), numbers(stays));
  });
});
