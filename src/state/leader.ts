import { type Instant, leaseIsOver } from '../resilience/instant.ts';
import { neverWritten } from './json.ts';
import { isAlive } from './process.ts';
import { pruneQuestions } from './questions.ts';
import type { Transaction } from './transaction.ts';

/**
 * Milliseconds without a sign of life after which a leader is taken to be stuck. One that died is seen by its process id; one that
 * has just begun is deaf while it loads TLS and HTTP/2, which in a storm takes its time.
 */
export const SILENT_MS = 2_000;

export interface Leader {
  readonly term: number;
  readonly pid: number;
}

interface Row extends Leader, Instant {
  readonly portal: string;
}

function load(tx: Transaction): Row {
  const row = tx.row<Row>('SELECT term, pid, portal, wall, boot, mono FROM leader WHERE id = 1');
  if (row === undefined) throw neverWritten();
  return row;
}

/**
 * Who asks the portal for its siblings now; null where nobody does.
 * @param portal which one, as told to `takeLead`: a leader that began before the configuration was changed is none.
 */
export function leaderOf(tx: Transaction, portal: string): Leader | null {
  const row = load(tx);
  // Another process once had the id that is ours now.
  if (row.pid === 0 || row.pid === process.pid || row.portal !== portal) return null;
  return leaseIsOver(SILENT_MS, row, tx.now) || !isAlive(row.pid) ? null : row;
}

/**
 * Makes this process the leader.
 * @param portal which one it asks, and how.
 * @returns the term, which all that is done as the leader must name.
 */
export function takeLead(tx: Transaction, portal: string): number {
  const { wall, boot, mono } = tx.now;
  // Questions for another portal are not this leader's to answer: their processes find them gone.
  if (load(tx).portal !== portal) tx.write('DELETE FROM question');
  else pruneQuestions(tx);
  tx.write(
    'UPDATE leader SET term = term + 1, pid = ?, portal = ?, wall = ?, boot = ?, mono = ? WHERE id = 1',
    process.pid,
    portal,
    wall,
    boot,
    mono,
  );
  return load(tx).term;
}

/** Whether this process still is the leader of that term; a sign of life where it is. */
export function holdsLead(tx: Transaction, term: number): boolean {
  const row = load(tx);
  if (row.term !== term || row.pid !== process.pid) return false;
  if (leaseIsOver(SILENT_MS / 8, row, tx.now)) {
    tx.write('UPDATE leader SET wall = ?, mono = ? WHERE id = 1', tx.now.wall, tx.now.mono);
  }
  return true;
}

/** Nobody leads any more, where this process still did. */
export function giveLeadBack(tx: Transaction, term: number): void {
  tx.write('UPDATE leader SET pid = 0 WHERE id = 1 AND term = ? AND pid = ?', term, process.pid);
}
