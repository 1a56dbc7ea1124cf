import type { EventType, SessionEvent } from '../accounting/event.ts';
import { uuidv7 } from '../accounting/uuid.ts';
import { count } from './counters.ts';
import { fromJson } from './json.ts';
import type { Transaction } from './transaction.ts';

/** An event on its way to the portal, with what has become of it so far. */
export interface Queued {
  readonly seq: number;
  readonly id: string;
  readonly event: SessionEvent;
  /** Calls so far that did not deliver it. */
  readonly attempts: number;
  readonly lastError: string | null;
  /** Wall milliseconds before which it is not tried again. */
  readonly retryAt: number;
  /** Wall milliseconds since which it is set aside; null while it is pending. */
  readonly failedAt: number | null;
}

/**
 * What was read may be gone by now, with its whole database even, and another event may have its number: only both together are the
 * same event.
 */
export const THIS_ONE = 'WHERE seq = ? AND id = ?';

/** How many of each were given up to keep the outbox within its bound. */
export type Dropped = Readonly<Partial<Record<EventType, number>>>;

/** Rows that one hook removes at most, where max_pending was lowered: the next ones go on. */
const DROPPED_AT_ONCE = 100;

export function newEventId(tx: Transaction): string {
  const random = tx.row<{ random: string }>('SELECT hex(randomblob(10)) AS random')?.random ?? '';
  return uuidv7(tx.now.wall, random);
}

/**
 * Puts an event into the outbox. An update makes undelivered older ones of its session void, and so does the end, which
 * has the final figures. Past `maxPending` the oldest connects and updates go; disconnects, which are accounting, never.
 * @returns what had to go.
 */
export function enqueue(
  tx: Transaction,
  event: SessionEvent,
  { maxPending, id = newEventId(tx) }: { maxPending: number; id?: string },
): Dropped {
  if (event.type !== 'connect') removeUpdates(tx, event.sessionId);
  const { type, sessionId, username, vhost, at, ...body } = event;
  tx.write(
    // It waits as long as the one before it in its session: it cannot go first.
    `INSERT INTO event (id, type, session_id, username, vhost, at_wall, body, retry_at) VALUES (?, ?, ?, ?, ?, ?, ?,
       (SELECT coalesce(max(retry_at), 0) FROM event WHERE session_id = ? AND failed_wall IS NULL))`,
    id,
    type,
    sessionId,
    username,
    vhost,
    at,
    JSON.stringify(body),
    sessionId,
  );
  return dropExcess(tx, maxPending);
}

function removeUpdates(tx: Transaction, sessionId: string): void {
  tx.write(`DELETE FROM event WHERE session_id = ? AND type = 'update' AND failed_wall IS NULL`, sessionId);
}

function dropExcess(tx: Transaction, maxPending: number): Dropped {
  const excess = tx.writable ? pendingCount(tx) - maxPending : 0;
  if (excess <= 0) return {};
  const oldest = tx.rows<{ seq: number; id: string; type: EventType }>(
    `SELECT seq, id, type FROM event WHERE failed_wall IS NULL AND type <> 'disconnect' ORDER BY seq LIMIT ?`,
    Math.min(excess, DROPPED_AT_ONCE),
  );
  return drop(tx, oldest);
}

/** Removes events that were never delivered, and counts them. */
export function drop(
  tx: Transaction,
  events: readonly { seq: number; id: string; type: EventType }[],
): Dropped {
  const dropped: Partial<Record<EventType, number>> = {};
  for (const { seq, id, type } of events) {
    if (tx.write(`DELETE FROM event ${THIS_ONE}`, seq, id) === 0) continue;
    count(tx, 'ocserv.events.dropped_total', { type });
    dropped[type] = (dropped[type] ?? 0) + 1;
  }
  return dropped;
}

/** Events that wait for the portal, without counting them. */
export function pendingCount(tx: Transaction): number {
  return tx.row<{ pending: number }>('SELECT pending FROM event_size WHERE id = 1')?.pending ?? 0;
}

/**
 * The next events that may be sent now, the longest waiting first: of each session only its first one that is not
 * delivered yet, so that its order is kept. `busy` are sessions of which one is being sent.
 */
export function nextDue(tx: Transaction, busy: Iterable<string>, limit: number): Queued[] {
  return tx
    .rows<Row>(
      `SELECT ${COLUMNS} FROM event WHERE failed_wall IS NULL AND retry_at <= ?
         AND session_id NOT IN (SELECT value FROM json_each(?))
         AND NOT EXISTS (SELECT 1 FROM event AS earlier WHERE earlier.session_id = event.session_id
           AND earlier.seq < event.seq AND earlier.failed_wall IS NULL)
       ORDER BY retry_at, seq LIMIT ?`,
      tx.now.wall,
      JSON.stringify([...busy]),
      limit,
    )
    .map(fromRow);
}

/** The portal took it. */
export function delivered(tx: Transaction, { seq, id, event }: Queued): void {
  // It may have been dropped, or been replaced by a newer one, while it was on its way.
  if (tx.write(`DELETE FROM event ${THIS_ONE}`, seq, id) === 0) return;
  count(tx, 'ocserv.events.delivered_total', { type: event.type });
}

/** A call for it did not reach the portal: it is tried again as soon as anything is. */
export function noteTry(tx: Transaction, { seq, id }: Queued, error: string): void {
  tx.write(`UPDATE event SET attempts = attempts + 1, last_error = ? ${THIS_ONE}`, error, seq, id);
}

/** It is tried again after `wait` milliseconds, and what comes after it in its session waits with it. */
export function postpone(tx: Transaction, { seq, id, event }: Queued, error: string, wait: number): void {
  const retryAt = tx.now.wall + wait;
  const postponed = tx.write(
    `UPDATE event SET attempts = attempts + 1, last_error = ?, retry_at = ? ${THIS_ONE}`,
    error,
    retryAt,
    seq,
    id,
  );
  // It may be void by now; then nothing waits for it.
  if (postponed === 0) return;
  tx.write(
    'UPDATE event SET retry_at = max(retry_at, ?) WHERE session_id = ? AND seq > ? AND failed_wall IS NULL',
    retryAt,
    event.sessionId,
    seq,
  );
}

/** The portal will never take it as it is: it holds up neither others nor its own session any more. */
export function setAsideEvent(tx: Transaction, { seq, id }: Queued, error: string): void {
  tx.write(
    `UPDATE event SET attempts = attempts + 1, last_error = ?, failed_wall = ? ${THIS_ONE}`,
    error,
    tx.now.wall,
    seq,
    id,
  );
}

/**
 * Makes waits void: all of them, or only those longer than any that was ever begun, which a clock that was set back has
 * left behind; at most so many at a time.
 * @returns how many.
 */
export function forgetWaits(tx: Transaction, batch: number, longerThan = 0): number {
  return tx.write(
    `UPDATE event SET retry_at = 0 WHERE seq IN
       (SELECT seq FROM event WHERE failed_wall IS NULL AND retry_at > ? LIMIT ?)`,
    longerThan === 0 ? 0 : tx.now.wall + longerThan,
    batch,
  );
}

/** Pending events, up to that one, that have not been tried since `forgetWaits`. */
export function untriedCount(tx: Transaction, upTo: number): number {
  return (
    tx.row<{ n: number }>(
      'SELECT count(*) AS n FROM event WHERE failed_wall IS NULL AND retry_at = 0 AND seq <= ?',
      upTo,
    )?.n ?? 0
  );
}

export function lastSeq(tx: Transaction): number {
  return tx.row<{ seq: number | null }>('SELECT max(seq) AS seq FROM event')?.seq ?? 0;
}

export const COLUMNS =
  'seq, id, type, session_id, username, vhost, at_wall, body, attempts, retry_at, last_error, failed_wall';

export interface Row {
  seq: number;
  id: string;
  type: EventType;
  session_id: string;
  username: string;
  vhost: string | null;
  at_wall: number;
  body: string;
  attempts: number;
  retry_at: number;
  last_error: string | null;
  failed_wall: number | null;
}

export function fromRow(row: Row): Queued {
  const body = fromJson(row.body, isTable);
  const { type, username, vhost } = row;
  return {
    seq: row.seq,
    id: row.id,
    event: { ...body, type, sessionId: row.session_id, username, vhost, at: row.at_wall } as SessionEvent,
    attempts: row.attempts,
    lastError: row.last_error,
    retryAt: row.retry_at,
    failedAt: row.failed_wall,
  };
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
