import { milliseconds } from './clock.ts';
import { sleep } from './patience.ts';
import type { State } from './state.ts';
import type { Transaction } from './transaction.ts';

/** Milliseconds between two transactions of one long work: whoever waits for the state gets his turn. */
const PAUSE_MS = 2;

/**
 * Work on many rows, a few in one transaction, each of which takes a few milliseconds.
 * @returns what all came to, and why some of it is not on record: the state alone tells that of its last step, and a later one may well be.
 */
export async function inBatches<T, R>(
  state: State,
  all: readonly T[],
  batch: number,
  work: (tx: Transaction, part: readonly T[]) => readonly R[],
): Promise<{ readonly done: readonly R[]; readonly unrecorded: string | null }> {
  const done: R[] = [];
  let unrecorded: string | null = null;
  for (let from = 0; from < all.length; from += batch) {
    if (from > 0) await sleep(PAUSE_MS);
    done.push(...(await state.step((tx) => work(tx, all.slice(from, from + batch)))));
    unrecorded ??= state.unrecorded;
  }
  return { done, unrecorded };
}

/** What one transaction of a long work should take at most: a hook that meets it waits no longer. */
const TURN_MS = 4;
const FEWEST_ROWS = 16;
const MOST_ROWS = 2_048;

/**
 * Work on any number of rows, in many short transactions. SQLite keeps no queue of those who wait for its lock: they look again from
 * time to time. So after each the lock is left to them for as long as it was held.
 * @param work treats some rows, at most so many.
 * @param goesOn is told what that came to, once it is on record, and says whether there is more to do.
 */
export async function inTurns<T>(
  state: State,
  work: (tx: Transaction, atMost: number) => T,
  goesOn: (done: T) => boolean,
): Promise<void> {
  for (let rows = 8 * FEWEST_ROWS; ; ) {
    let since = 0;
    let took = 0;
    const done = await state.step((tx) => {
      since = milliseconds();
      const result = work(tx, rows);
      took = milliseconds() - since;
      return result;
    });
    if (state.unrecorded !== null || !goesOn(done)) return;
    if (took > TURN_MS) rows = Math.max(FEWEST_ROWS, rows / 2);
    else if (took < TURN_MS / 2) rows = Math.min(MOST_ROWS, rows * 2);
    // With the commit.
    await sleep(Math.max(PAUSE_MS, milliseconds() - since));
  }
}

/** The same step again and again, until it treats fewer rows than it might have. @returns how many in all. */
export async function untilDone(
  state: State,
  work: (tx: Transaction, atMost: number) => number,
): Promise<number> {
  let total = 0;
  await inTurns(
    state,
    (tx, atMost) => ({ treated: work(tx, atMost), atMost }),
    ({ treated, atMost }) => {
      total += treated;
      return treated === atMost;
    },
  );
  return total;
}
