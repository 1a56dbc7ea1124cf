import { sleep } from './patience.ts';
import type { State } from './state.ts';
import type { Transaction } from './transaction.ts';

/** Milliseconds between two transactions of one long work: whoever waits for the state gets his turn. */
const PAUSE_MS = 2;

/** Work on many rows, a few in one transaction, each of which takes a few milliseconds. @returns what all came to. */
export async function inBatches<T, R>(
  state: State,
  all: readonly T[],
  batch: number,
  work: (tx: Transaction, part: readonly T[]) => readonly R[],
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < all.length; from += batch) {
    if (from > 0) await sleep(PAUSE_MS);
    results.push(...(await state.step((tx) => work(tx, all.slice(from, from + batch)))));
  }
  return results;
}

/** Rows that one step may treat. */
const ROWS = 500;

/** The same step again and again, until it treats fewer rows than it might have. @returns how many in all. */
export async function untilDone(
  state: State,
  work: (tx: Transaction, atMost: number) => number,
): Promise<number> {
  for (let total = 0; ; ) {
    const treated = await state.step((tx) => work(tx, ROWS));
    total += treated;
    if (treated < ROWS || state.unrecorded !== null) return total;
    await sleep(PAUSE_MS);
  }
}
