import { milliseconds } from '../state/clock.ts';
import { leaderOf } from '../state/leader.ts';
import { isAlive } from '../state/process.ts';
import { answerTo, type Question, withdraw } from '../state/questions.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { listenForWake, sleepUntilWoken, wake } from '../state/wake.ts';
import { outOfTime } from './out-of-time.ts';
import { readResult } from './portal-result.ts';
import type { PortalResult } from './types.ts';
import type { Way, WayMeans } from './way.ts';

/** How often one who waits looks whether the leader's process is still there, and into the state. It is woken for its answer. */
const GLANCE_MS = 200;
const LOOK_MS = 1_000;

export type Waiting = Extract<Way, { readonly kind: 'wait' }>;

/**
 * Waits for the leader's answer.
 * @returns null when it is not to be had in time for a call of one's own, or the leader has gone: then the state is to be asked for
 * another way. A failure when there is no time left for anything.
 */
export async function waitForAnswer(
  state: State,
  { question, portal, takenBy }: Waiting,
  { waitLimits }: Pick<WayMeans, 'waitLimits'>,
): Promise<PortalResult | null> {
  listenForWake();
  try {
    for (;;) {
      const { stands, leader } = await state.read((tx) => {
        const leads = leaderOf(tx, portal);
        return { stands: answerTo(tx, question, leads?.term ?? null), leader: leads };
      });
      if (typeof stands === 'object') return await read(state, question, stands.answer);
      if (milliseconds() >= waitLimits.answeredBy) return { failure: outOfTime('nobody asked it in time') };
      const left = (stands === 'open' ? takenBy : waitLimits.answeredBy) - milliseconds();
      if (stands === 'gone' || leader === null || left <= 0) return null;
      // A leader that had not listened yet has not heard of it.
      if (stands === 'open') wake(leader.pid);
      // Not all at the same moment.
      await watch(leader.pid, Math.min(left, LOOK_MS * (0.75 + Math.random() / 2)));
    }
  } catch (error) {
    if (error instanceof StateUnusable) return null;
    throw error;
  }
}

/** Until there may be something to see, at most so many milliseconds. Hundreds may wait, so most looks do not open the state. */
async function watch(leader: number, atMost: number): Promise<void> {
  const end = milliseconds() + atMost;
  for (let left = atMost; left > 0; left = end - milliseconds()) {
    if ((await sleepUntilWoken(Math.min(left, GLANCE_MS))) || !isAlive(leader)) return;
  }
}

/** An answer that cannot be read is none: nobody waits for it any more. */
async function read(state: State, question: Question, answer: string): Promise<PortalResult | null> {
  try {
    return readResult(answer);
  } catch (error) {
    if (!(error instanceof StateUnusable)) throw error;
    await state.step((tx) => withdraw(tx, question));
    return null;
  }
}
