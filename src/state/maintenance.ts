import type { Transaction } from './transaction.ts';

/** The periodic work has come to its end, whatever became of its parts. */
export function noteMaintainRun(tx: Transaction): void {
  tx.write('UPDATE maintenance SET last_run = ? WHERE id = 1', tx.now.wall);
}

/** Wall milliseconds; null when it has never been run. */
export function lastMaintainRun(tx: Transaction): number | null {
  return (
    tx.row<{ last_run: number | null }>('SELECT last_run FROM maintenance WHERE id = 1')?.last_run ?? null
  );
}
