import type { EndReason } from '../accounting/event.ts';
import { revoke } from './decisions.ts';
import type { Transaction } from './transaction.ts';

/** The portal wants sessions ended. A drain carries it out, since no hook may talk to ocserv. */
export interface DisconnectOrder {
  readonly id: number;
  readonly username: string;
  /** One session of his; null: all that were live when it was given, but for `exceptOcservId`. */
  readonly sessionId: string | null;
  readonly exceptOcservId: string;
  readonly reason: EndReason;
  /** The portal's own words. */
  readonly detail: string;
  /** Wall milliseconds when it was given. */
  readonly at: number;
  readonly attempts: number;
}

export function orderUserOut(
  tx: Transaction,
  order: Pick<DisconnectOrder, 'username' | 'exceptOcservId' | 'reason' | 'detail'>,
): void {
  // The newest stands for all: it covers what came since.
  tx.write('DELETE FROM disconnect_order WHERE username = ? AND session_id IS NULL', order.username);
  give(tx, { ...order, sessionId: null });
}

export function orderSessionOut(
  tx: Transaction,
  order: Pick<DisconnectOrder, 'username' | 'reason' | 'detail'> & {
    readonly sessionId: string;
  },
): void {
  tx.write('DELETE FROM disconnect_order WHERE session_id = ?', order.sessionId);
  give(tx, { ...order, exceptOcservId: '' });
}

function give(tx: Transaction, order: Omit<DisconnectOrder, 'id' | 'at' | 'attempts'>): void {
  // Whoever is thrown out must not be let in again by what the portal said of him before (contract/cli.md, "Cache").
  revoke(tx, order.username);
  tx.write(
    `INSERT INTO disconnect_order (username, session_id, except_ocserv_id, reason, detail, wall)
     VALUES (?, ?, ?, ?, ?, ?)`,
    order.username,
    order.sessionId,
    order.exceptOcservId,
    order.reason,
    order.detail,
    tx.now.wall,
  );
}

/** Whether there is anything to carry out now. */
export function hasDueOrders(tx: Transaction): boolean {
  return tx.row('SELECT 1 FROM disconnect_order WHERE retry_at <= ?', tx.now.wall) !== undefined;
}

/** @param longest milliseconds that a wait can be; a longer one was left behind by a clock set back. */
export function dueOrders(tx: Transaction, longest: number): DisconnectOrder[] {
  return tx.rows<DisconnectOrder>(
    `SELECT id, username, session_id AS sessionId, except_ocserv_id AS exceptOcservId,
       reason, detail, wall AS at, attempts
     FROM disconnect_order WHERE retry_at <= ? OR retry_at > ? ORDER BY id`,
    tx.now.wall,
    tx.now.wall + longest,
  );
}

export function orderCount(tx: Transaction): number {
  return tx.row<{ n: number }>('SELECT count(*) AS n FROM disconnect_order')?.n ?? 0;
}

export function orderDone(tx: Transaction, { id }: DisconnectOrder): void {
  tx.write('DELETE FROM disconnect_order WHERE id = ?', id);
}

export function postponeOrder(tx: Transaction, { id }: DisconnectOrder, wait: number): void {
  tx.write(
    'UPDATE disconnect_order SET attempts = attempts + 1, retry_at = ? WHERE id = ?',
    tx.now.wall + wait,
    id,
  );
}

/** Orders are tried at once again. */
export function forgetOrderWaits(tx: Transaction): void {
  tx.write('UPDATE disconnect_order SET retry_at = 0');
}

/** From now on the end of that session is one that we forced, for this reason; null takes it back. */
export function markForced(
  tx: Transaction,
  session: { readonly ocservId: string; readonly username: string },
  reason: EndReason | null,
): void {
  tx.write(
    'UPDATE session SET end_reason = ? WHERE ocserv_id = ? AND username = ? AND ended_wall IS NULL',
    reason,
    session.ocservId,
    session.username,
  );
}
