import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { byDeadline } from '../../src/policy/deadline.ts';
import { invalidDecision } from '../../src/policy/decision.ts';
import type { Decision } from '../../src/policy/types.ts';
import { settings } from './fixture.ts';
import { ALICE } from './portal.ts';

const ALLOWED: Decision = { ...invalidDecision(''), allowed: true, source: 'cache' };

/** As a process that is so old makes up its mind. */
function deciding(t: TestContext, elapsed: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const made = Promise.withResolvers<Decision>();
  let tell: (decision: Decision) => void = () => {};
  let answered: Decision | null = null;
  const config = settings({ hook: { deadline: '8s' }, resilience: { fail_mode: 'close' } });
  void byDeadline(ALICE, null, config, elapsed, (know) => {
    tell = know;
    return made.promise;
  }).then((decision) => {
    answered = decision;
  });
  const settled = async (): Promise<Decision | null> => {
    await new Promise(setImmediate);
    return answered;
  };
  return {
    know: (decision: Decision) => tell(decision),
    decide: made.resolve,
    async after(milliseconds: number) {
      t.mock.timers.tick(milliseconds);
      return settled();
    },
  };
}

describe('the deadline', () => {
  test('answers when it has passed, by the fail mode', async (t) => {
    const process = deciding(t, 3_000);
    assert.equal(await process.after(4_999), null);
    assert.equal((await process.after(1))?.source, 'fail-close');
  });

  test('answers by what was known by then', async (t) => {
    const process = deciding(t, 3_000);
    process.know(ALLOWED);
    assert.equal(await process.after(5_000), ALLOWED);
  });

  test('answers nothing where the decision is made before', async (t) => {
    const process = deciding(t, 3_000);
    process.decide(ALLOWED);
    assert.equal(await process.after(0), ALLOWED);
  });

  test('that had passed before the process could begin still leaves it time to look into the state', async (t) => {
    const process = deciding(t, 12_000);
    assert.equal(await process.after(249), null);
    process.decide(ALLOWED);
    assert.equal(await process.after(0), ALLOWED);
  });

  test('that had passed before the process could begin answers soon all the same', async (t) => {
    const process = deciding(t, 12_000);
    assert.equal((await process.after(250))?.source, 'fail-close');
  });
});
