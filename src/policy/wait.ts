import { milliseconds } from '../state/clock.ts';
import { leaderOf } from '../state/leader.ts';
import { answerTo, type Question } from '../state/questions.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { listenForWake, sleepUntilWoken } from '../state/wake.ts';
import { readResult } from './portal-result.ts';
import { portalOf } from './rules.ts';
import type { PortalResult } from './types.ts';
import type { WayMeans } from './way.ts';

/** How often one who waits looks whether the leader is still there. It is woken for its answer. */
const LOOK_MS = 200;

/**
 * Waits for the leader's answer.
 * @returns null when it is not to be had in time, or the leader has gone: then the state is to be asked for another way.
 */
export async function waitForAnswer(
  state: State,
  question: Question,
  { config, waitLimits }: Pick<WayMeans, 'config' | 'waitLimits'>,
): Promise<PortalResult | null> {
  listenForWake();
  const began = milliseconds();
  const portal = portalOf(config);
  try {
    for (;;) {
      const { stands, leader } = await state.read((tx) => ({
        stands: answerTo(tx, question),
        leader: leaderOf(tx, portal),
      }));
      if (typeof stands === 'object') return readResult(stands.answer);
      // Past the first limit already: there was no room for a call of its own.
      const limit =
        stands === 'open' && began < waitLimits.takenBy ? waitLimits.takenBy : waitLimits.answeredBy;
      const left = limit - milliseconds();
      if (stands === 'gone' || leader === null || left <= 0) return null;
      // Not all at the same moment.
      await sleepUntilWoken(Math.min(left, LOOK_MS * (0.75 + Math.random() / 2)));
    }
  } catch (error) {
    if (error instanceof StateUnusable) return null;
    throw error;
  }
}
