import type { EventType } from '../accounting/event.ts';
import { COLUMNS, drop, fromRow, pendingCount, type Queued, type Row, THIS_ONE } from './outbox.ts';
import type { Transaction } from './transaction.ts';

export interface OutboxTally {
  readonly pending: number;
  readonly pendingByType: Readonly<Record<EventType, number>>;
  readonly failed: number;
  /** Wall milliseconds of the oldest pending event; null when there is none. */
  readonly oldestAt: number | null;
}

/** Reads the whole outbox, so it is for people and monitoring, not for hooks. */
export function tallyOutbox(tx: Transaction): OutboxTally {
  const pendingByType = { connect: 0, disconnect: 0, update: 0 };
  for (const { type, n } of tx.rows<{ type: EventType; n: number }>(
    'SELECT type, count(*) AS n FROM event WHERE failed_wall IS NULL GROUP BY type',
  ))
    pendingByType[type] = n;
  const failed = tx.row<{ n: number }>('SELECT count(*) AS n FROM event WHERE failed_wall IS NOT NULL');
  const oldest = tx.row<{ at: number | null }>(
    'SELECT min(at_wall) AS at FROM event WHERE failed_wall IS NULL',
  );
  return {
    pending: pendingCount(tx),
    pendingByType,
    failed: failed?.n ?? 0,
    oldestAt: oldest?.at ?? null,
  };
}

export interface EventFilter {
  readonly failedOnly?: boolean;
  readonly username?: string | undefined;
  readonly limit: number;
}

/** In their order. */
export function listEvents(tx: Transaction, { failedOnly, username, limit }: EventFilter): Queued[] {
  return tx
    .rows<Row>(
      `SELECT ${COLUMNS} FROM event WHERE (? = 0 OR failed_wall IS NOT NULL) AND (? IS NULL OR username = ?)
       ORDER BY seq LIMIT ?`,
      failedOnly ? 1 : 0,
      username ?? null,
      username ?? null,
      limit,
    )
    .map(fromRow);
}

export function findEvent(tx: Transaction, id: string): Queued | undefined {
  const row = tx.row<Row>(`SELECT ${COLUMNS} FROM event WHERE id = ?`, id);
  return row && fromRow(row);
}

/** Set-aside events, at most `limit`; those set aside before a wall time where one is given. */
export function listFailed(tx: Transaction, limit: number, before = Number.MAX_SAFE_INTEGER): Queued[] {
  return tx
    .rows<Row>(
      `SELECT ${COLUMNS} FROM event WHERE failed_wall IS NOT NULL AND failed_wall < ? ORDER BY seq LIMIT ?`,
      before,
      limit,
    )
    .map(fromRow);
}

/** Gives them up for ever; they count as dropped. */
export function dropQueued(tx: Transaction, events: readonly Queued[]): void {
  drop(
    tx,
    events.map(({ seq, id, event }) => ({ seq, id, type: event.type })),
  );
}

/** Pending again, to be tried at once. */
export function retryEvent(tx: Transaction, { seq, id }: Queued): void {
  tx.write(`UPDATE event SET failed_wall = NULL, retry_at = 0 ${THIS_ONE}`, seq, id);
}
