import { type BreakerState, INITIAL } from '../resilience/circuit-breaker.ts';
import { hasPassed, type Instant } from '../resilience/instant.ts';
import { fromJson } from './json.ts';
import type { Transaction } from './transaction.ts';

/** @throws {StateUnusable} when the row is none that was ever written. */
export function loadBreaker(tx: Transaction): BreakerState {
  const row = tx.row<{ state: string }>('SELECT state FROM breaker WHERE id = 1');
  return row === undefined ? INITIAL : fromJson(row.state, isBreakerState);
}

function isBreakerState(value: unknown): value is BreakerState {
  const state = value as Record<string, unknown> | null;
  if (typeof state?.['generation'] !== 'number' || typeof state['failures'] !== 'number') return false;
  switch (state['kind']) {
    case 'closed':
      return state['firstFailure'] === null || isInstant(state['firstFailure']);
    case 'open':
      return isInstant(state['openedAt']);
    case 'half-open':
      return (
        isInstant(state['openedAt']) &&
        typeof state['successes'] === 'number' &&
        typeof state['nextTrial'] === 'number' &&
        Array.isArray(state['trials']) &&
        state['trials'].every((trial) => typeof trial?.id === 'number' && isInstant(trial?.since))
      );
    default:
      return false;
  }
}

function isInstant(value: unknown): value is Instant {
  const instant = value as Record<string, unknown> | null | undefined;
  return (
    typeof instant?.['wall'] === 'number' &&
    typeof instant['mono'] === 'number' &&
    typeof instant['boot'] === 'string'
  );
}

/** Writes only what changed: while the portal is well the breaker costs no write. */
export function saveBreaker(tx: Transaction, before: BreakerState, after: BreakerState): void {
  if (after === before) return;
  tx.write(
    'INSERT INTO breaker VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state',
    JSON.stringify(after),
  );
}

/**
 * Whether a failure that this user's own request could have provoked counts now, noting it if so: one per username
 * within `interval` milliseconds, so that no single account can open the breaker for all.
 */
export function blame(tx: Transaction, username: string, interval: number): boolean {
  const last = tx.row<Instant>('SELECT wall, boot, mono FROM breaker_blame WHERE username = ?', username);
  if (last !== undefined && !hasPassed(interval, last, tx.now)) return false;
  tx.write(
    `INSERT INTO breaker_blame VALUES (?, ?, ?, ?)
     ON CONFLICT (username) DO UPDATE SET wall = excluded.wall, boot = excluded.boot, mono = excluded.mono`,
    username,
    tx.now.wall,
    tx.now.boot,
    tx.now.mono,
  );
  return true;
}

export function forgetBlame(tx: Transaction): void {
  tx.write('DELETE FROM breaker_blame');
}

/** Removes who has not been blamed within `interval`. */
export function pruneBlame(tx: Transaction, interval: number): void {
  const old = tx
    .rows<Instant & { username: string }>('SELECT username, wall, boot, mono FROM breaker_blame')
    .filter((row) => hasPassed(interval, row, tx.now));
  for (const { username } of old) tx.write('DELETE FROM breaker_blame WHERE username = ?', username);
}
