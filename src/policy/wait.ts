import { outOfTime } from '../portal/ask.ts';
import { milliseconds } from '../state/clock.ts';
import { leaderOf } from '../state/leader.ts';
import { answerTo, type Question, withdraw } from '../state/questions.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { listenForWake, sleepUntilWoken, wake } from '../state/wake.ts';
import { readResult } from './portal-result.ts';
import type { PortalResult } from './types.ts';
import type { Way, WayMeans } from './way.ts';

/** How often one who waits looks whether the leader is still there. It is woken for its answer. */
const LOOK_MS = 200;

export type Waiting = Extract<Way, { readonly kind: 'wait' }>;

/**
 * Waits for the leader's answer.
 * @returns null when it is not to be had in time for a call of one's own, or the leader has gone: then the state is to be asked for
 * another way. A failure when there is no time left for anything.
 */
export async function waitForAnswer(
  state: State,
  { question, takenBy }: Waiting,
  { portal: portalNow, waitLimits }: Pick<WayMeans, 'portal' | 'waitLimits'>,
): Promise<PortalResult | null> {
  listenForWake();
  const portal = portalNow();
  try {
    for (;;) {
      const { stands, leader } = await state.read((tx) => ({
        stands: answerTo(tx, question),
        leader: leaderOf(tx, portal),
      }));
      if (typeof stands === 'object') return await read(state, question, stands.answer);
      if (milliseconds() >= waitLimits.answeredBy) return { failure: outOfTime('nobody asked it in time') };
      const left = (stands === 'open' ? takenBy : waitLimits.answeredBy) - milliseconds();
      if (stands === 'gone' || leader === null || left <= 0) return null;
      // A leader that had not listened yet has not heard of it.
      if (stands === 'open') wake(leader.pid);
      // Not all at the same moment.
      await sleepUntilWoken(Math.min(left, LOOK_MS * (0.75 + Math.random() / 2)));
    }
  } catch (error) {
    if (error instanceof StateUnusable) return null;
    throw error;
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
