import type { Transaction } from './transaction.ts';

/** The next number of the order in which questions, answers and uses happened, over all processes; null where it cannot be drawn. */
export function nextInSequence(tx: Transaction): number | null {
  if (!tx.writable) return null;
  tx.write('UPDATE sequence SET value = value + 1 WHERE id = 1');
  return currentSequence(tx);
}

/** The last number drawn. */
export function currentSequence(tx: Transaction): number {
  return tx.row<{ value: number }>('SELECT value FROM sequence WHERE id = 1')?.value ?? 0;
}
