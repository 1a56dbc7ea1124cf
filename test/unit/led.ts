import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Means } from '../../src/policy/means.ts';
import type { Decision, PortalResult } from '../../src/policy/types.ts';
import { trip } from '../../src/resilience/circuit-breaker.ts';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import { milliseconds } from '../../src/state/clock.ts';
import { listDecisions } from '../../src/state/decisions.ts';
import { answer as answerQuestion } from '../../src/state/questions.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { wake } from '../../src/state/wake.ts';
import { openState, scratch, settings } from './fixture.ts';
import { Server } from './portal.ts';
import { dead, keepAlive, leaderRow, leads, questionRows, stranger } from './siblings.ts';

export const HOUR = 3_600_000;
/** More looks than any test needs: who looks so often never sleeps. */
const TOO_MANY = 2_000;

/** A state on which a sibling leads, as long as the test says so; what it answers the test writes. */
export async function led(t: TestContext, resilience: Record<string, unknown> = {}, leading = true) {
  const state = await openState(join(scratch(t), 'state.db'));
  const sibling = stranger(t);
  const script: { each: (tx: Transaction) => void; uses: number } = { each: () => {}, uses: 0 };
  if (leading) await state.step((tx) => leads(tx, sibling.pid));
  const step = state.step.bind(state);
  keepAlive(state, (tx) => {
    if (++script.uses > TOO_MANY) throw new Error('it looks again and again, and sleeps never');
    script.each(tx);
  });
  const it = new Server(state, settings({ resilience }));
  const limits = (takenBy = HOUR, answeredBy = HOUR) => ({
    takenBy: milliseconds() + takenBy,
    answeredBy: milliseconds() + answeredBy,
  });
  return {
    it,
    state,
    sibling,
    script,
    limits,
    /** A hook that waits: what it would be answered by a call of its own is `own`. */
    connect: (own: PortalResult, username = 'alice', rest: Partial<Means> = {}) =>
      it.decided(own, { username }, { waitLimits: limits(), mayLead: 'afterwards', ...rest }),
    rows: () => state.step(questionRows),
    leader: () => state.step(leaderRow),
    /** The leader answers all that wait, each by its name. */
    answerAll: async (say: (username: string) => PortalResult) => {
      await state.step((tx) => {
        for (const row of tx.rows<{ number: number; pid: number; request: string }>(
          'SELECT * FROM question WHERE answer IS NULL',
        )) {
          const { username } = JSON.parse(row.request) as { username: string };
          assert.equal(answerQuestion(tx, row, JSON.stringify(say(username))), true);
        }
      });
      wake(process.pid);
    },
    /** Until somebody waits for an answer. */
    open: async () => {
      while (!(await step(questionRows)).some((row) => row.answer === null)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    vanish: () => state.step((tx) => tx.write('UPDATE leader SET pid = ?', dead())),
    kept: () =>
      state.step((tx) => listDecisions(tx, null, 100).map(({ username, allowed }) => [username, allowed])),
    trip: () =>
      state.step((tx) => {
        const before = loadBreaker(tx);
        saveBreaker(tx, before, trip(before, tx.now));
      }),
    breaker: () => state.step(loadBreaker),
    counted: (name: string) =>
      state.step(
        (tx) =>
          tx.row<{ sum: number | null }>('SELECT sum(value) AS sum FROM counter WHERE name = ?', name)?.sum ??
          0,
      ),
  };
}

export const summary = ({ allowed, source, breaker }: Decision) => [allowed, source, breaker];
