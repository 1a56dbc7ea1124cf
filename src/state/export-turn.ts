import { hasPassed, type Instant, leaseIsOver } from '../resilience/instant.ts';
import { neverWritten } from './json.ts';
import { isAlive } from './process.ts';
import type { Transaction } from './transaction.ts';

/** How exporting the metrics goes. Times are wall milliseconds. */
export interface ExportStatus {
  readonly lastSuccess: number | null;
  readonly lastError: string | null;
  readonly lastErrorAt: number | null;
}

interface Row extends Instant {
  readonly pid: number;
  readonly last_success: number | null;
  readonly last_error: string | null;
  readonly last_error_at: number | null;
}

function load(tx: Transaction): Row {
  const row = tx.row<Row>(
    'SELECT pid, wall, boot, mono, last_success, last_error, last_error_at FROM export WHERE id = 1',
  );
  if (row === undefined) throw neverWritten();
  return row;
}

/**
 * This process' turn to export, if no other one is at it and the last began `interval` milliseconds ago. Of two at once
 * the one with the older figures could arrive last, and a counter would seem to decrease.
 * @param longest milliseconds that an export can take: whoever began before that is dead, or stopped.
 */
export function takeExportTurn(tx: Transaction, interval: number, longest: number): boolean {
  const row = load(tx);
  if (row.pid !== 0 && isAlive(row.pid) && !leaseIsOver(longest, row, tx.now)) return false;
  if (row.wall !== 0 && !hasPassed(interval, row, tx.now)) return false;
  const { wall, boot, mono } = tx.now;
  // Where it cannot be written down nobody could tell whose turn it is.
  return (
    tx.write(
      'UPDATE export SET pid = ?, wall = ?, boot = ?, mono = ? WHERE id = 1',
      process.pid,
      wall,
      boot,
      mono,
    ) > 0
  );
}

/** @param error null when the collector took it. */
export function endExportTurn(tx: Transaction, error: string | null): void {
  tx.write('UPDATE export SET pid = 0 WHERE id = 1 AND pid = ?', process.pid);
  if (error === null) tx.write('UPDATE export SET last_success = ? WHERE id = 1', tx.now.wall);
  else tx.write('UPDATE export SET last_error = ?, last_error_at = ? WHERE id = 1', error, tx.now.wall);
}

export function exportStatus(tx: Transaction): ExportStatus {
  const row = load(tx);
  return { lastSuccess: row.last_success, lastError: row.last_error, lastErrorAt: row.last_error_at };
}
