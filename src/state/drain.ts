import { type Instant, leaseIsOver } from '../resilience/instant.ts';
import { neverWritten } from './json.ts';
import { isAlive } from './process.ts';
import type { Transaction } from './transaction.ts';

/**
 * Milliseconds for which a drain holds its lease without renewing it. A machine in a storm may not let it run for
 * seconds; one that died is seen by its process id, so this bounds only one that never came.
 */
export const LEASE_MS = 15_000;
/** After this much of it a drain renews its lease. */
const RENEW_MS = 3_000;

export interface DrainStatus {
  readonly running: boolean;
  readonly pid: number | null;
  /** Drains in a row that found the portal away. */
  readonly failures: number;
  /** Wall milliseconds before which no hook sends for one. */
  readonly retryAt: number;
  readonly lastError: string | null;
}

interface Row extends Instant {
  readonly term: number;
  readonly lease: 'free' | 'called' | 'held';
  readonly pid: number;
  readonly failures: number;
  readonly retry_at: number;
  readonly last_error: string | null;
}

function load(tx: Transaction): Row {
  const row = tx.row<Row>(
    'SELECT term, lease, pid, wall, boot, mono, failures, retry_at, last_error FROM drain WHERE id = 1',
  );
  if (row === undefined) throw neverWritten();
  return row;
}

function isTaken(row: Row, now: Instant): boolean {
  if (row.lease === 'free' || leaseIsOver(LEASE_MS, row, now)) return false;
  return row.lease === 'called' || isAlive(row.pid);
}

/** Whether there is a lease that somebody holds or is on his way for. */
export function isDrainOnItsWay(tx: Transaction): boolean {
  return isTaken(load(tx), tx.now);
}

/** Whether the last drain found the portal away, and the next must not try yet. */
export function mustWait(tx: Transaction, longest: number): boolean {
  const { retry_at } = load(tx);
  // A wait longer than the longest is one that a clock set back has left behind.
  return retry_at > tx.now.wall && retry_at <= tx.now.wall + longest;
}

/** Reserves the lease for a drain that is about to be started, so that no sibling starts another. */
export function callDrain(tx: Transaction): void {
  setLease(tx, 'called', 0);
}

/**
 * The lease, for this process; null when another one has it. Whoever comes first takes the one that was reserved.
 * @returns the term, which all that is done under the lease must name.
 */
export function takeLease(tx: Transaction): number | null {
  const row = load(tx);
  if (row.lease === 'held' && isTaken(row, tx.now)) return null;
  if (!tx.writable) return null;
  tx.write('UPDATE drain SET term = term + 1 WHERE id = 1');
  setLease(tx, 'held', process.pid);
  return row.term + 1;
}

/**
 * Whether this process still holds the lease of that term; it is renewed when it needs to be. Terms begin anew in a state that took
 * the place of a corrupt one, so the term alone does not tell.
 */
export function holdsLease(tx: Transaction, term: number): boolean {
  const row = load(tx);
  if (row.lease !== 'held' || row.term !== term || row.pid !== process.pid) return false;
  if (leaseIsOver(RENEW_MS, row, tx.now)) setLease(tx, 'held', process.pid);
  return true;
}

/** Gives the lease back; `found` says how it found the portal, where it met it at all. */
export function giveLeaseBack(
  tx: Transaction,
  found: { readonly portal: 'well' | 'not met' } | { readonly portal: 'away'; error: string; wait: number },
): void {
  setLease(tx, 'free', process.pid);
  if (found.portal === 'well') {
    tx.write('UPDATE drain SET failures = 0, retry_at = 0, last_error = NULL WHERE id = 1');
  } else if (found.portal === 'away') {
    tx.write(
      'UPDATE drain SET failures = failures + 1, retry_at = ?, last_error = ? WHERE id = 1',
      tx.now.wall + found.wait,
      found.error,
    );
  }
}

export function forgetDrainWait(tx: Transaction): void {
  tx.write('UPDATE drain SET retry_at = 0 WHERE id = 1');
}

export function drainStatus(tx: Transaction): DrainStatus {
  const row = load(tx);
  const running = row.lease === 'held' && isTaken(row, tx.now);
  return {
    running,
    pid: running ? row.pid : null,
    failures: row.failures,
    retryAt: row.retry_at,
    lastError: row.last_error,
  };
}

function setLease(tx: Transaction, lease: Row['lease'], pid: number): void {
  const { wall, boot, mono } = tx.now;
  tx.write(
    'UPDATE drain SET lease = ?, pid = ?, wall = ?, boot = ?, mono = ? WHERE id = 1',
    lease,
    pid,
    wall,
    boot,
    mono,
  );
}
