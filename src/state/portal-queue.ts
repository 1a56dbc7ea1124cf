import { isAlive } from './process.ts';
import type { Transaction } from './transaction.ts';

/** One process' place among those that want to ask the portal. */
export interface Ticket {
  readonly number: number;
  /** How many were before it when it was drawn. */
  readonly ahead: number;
}

/**
 * Draws a ticket. One whose process has died, or that is older than `lease` milliseconds, no longer stands in
 * anybody's way.
 */
export function drawTicket(tx: Transaction, lease: number): Ticket | null {
  if (!tx.writable) return null;
  const { boot, mono } = tx.now;
  tx.write('DELETE FROM portal_queue WHERE boot <> ? OR mono <= ?', boot, mono - lease);
  tx.write('INSERT INTO portal_queue (pid, boot, mono) VALUES (?, ?, ?)', process.pid, boot, mono);
  const { number } = tx.row<{ number: number }>('SELECT last_insert_rowid() AS number') ?? { number: 0 };
  return { number, ahead: ahead(tx, number) };
}

/** How many living processes are still before this ticket. */
export function ahead(tx: Transaction, number: number): number {
  return tx
    .rows<{ pid: number }>('SELECT pid FROM portal_queue WHERE number < ?', number)
    .filter(({ pid }) => isAlive(pid)).length;
}

export function returnTicket(tx: Transaction, number: number): void {
  tx.write('DELETE FROM portal_queue WHERE number = ?', number);
}
