import type { EndReason, Stats } from '../accounting/event.ts';
import type { Instant } from '../resilience/instant.ts';
import { newEventId } from './outbox.ts';
import type { EndedSession } from './session-end.ts';
import type { Transaction } from './transaction.ts';

/** Totals of a live session, seen from the server. Null where nobody could tell. */
export interface Traffic {
  readonly bytesIn: bigint | null;
  readonly bytesOut: bigint | null;
  readonly packetsIn: bigint | null;
  readonly packetsOut: bigint | null;
}

/** A session that is live by our records. */
export interface LiveSession {
  readonly id: number;
  readonly sessionId: string;
  readonly ocservId: string;
  readonly vhost: string;
  /** Null where ocserv named none. */
  readonly vhostForPortal: string | null;
  readonly username: string;
  readonly clientIp: string;
  readonly connectedAt: number;
  /** What was known last. */
  readonly traffic: Traffic;
  readonly missingSince: Instant | null;
  readonly endEventId: string | null;
  /** What we are ending it for; null when we are not. */
  readonly endReason: EndReason | null;
}

export function liveSessions(tx: Transaction): LiveSession[] {
  return tx.rows<Row>(`SELECT ${COLUMNS} FROM session WHERE ended_wall IS NULL ORDER BY id`).map(fromRow);
}

/** The newest under an ID of ocserv's, which recurs. */
export function liveSessionOf(tx: Transaction, ocservId: string): LiveSession | undefined {
  const row = tx.row<Row>(
    `SELECT ${COLUMNS} FROM session WHERE ocserv_id = ? AND ended_wall IS NULL ORDER BY id DESC LIMIT 1`,
    ocservId,
  );
  return row && fromRow(row);
}

/** One of `liveSessions`, if it has not ended since. */
export function stillLive(tx: Transaction, id: number): LiveSession | undefined {
  const row = tx.row<Row>(`SELECT ${COLUMNS} FROM session WHERE id = ? AND ended_wall IS NULL`, id);
  return row && fromRow(row);
}

/** ocserv lists it, so it is not missing, whatever it does. */
export function noteListed(tx: Transaction, { id, missingSince }: LiveSession): void {
  if (missingSince === null) return;
  tx.write(
    'UPDATE session SET missing_wall = NULL, missing_boot = NULL, missing_mono = NULL WHERE id = ?',
    id,
  );
}

/** What is known of its traffic so far: each count only ever grows, whoever told it. */
export function seenTraffic(before: Traffic, now: Traffic): Traffic {
  const larger = (a: bigint | null, b: bigint | null): bigint | null =>
    a === null || (b !== null && b > a) ? b : a;
  return {
    bytesIn: larger(before.bytesIn, now.bytesIn),
    bytesOut: larger(before.bytesOut, now.bytesOut),
    packetsIn: larger(before.packetsIn, now.packetsIn),
    packetsOut: larger(before.packetsOut, now.packetsOut),
  };
}

/** ocserv has it, with so much traffic. */
export function noteSeen(tx: Transaction, { id }: LiveSession, traffic: Traffic): void {
  tx.write(
    `UPDATE session SET seen_wall = ?, seen_bytes_in = ?, seen_bytes_out = ?, seen_packets_in = ?,
       seen_packets_out = ?, missing_wall = NULL, missing_boot = NULL, missing_mono = NULL WHERE id = ?`,
    tx.now.wall,
    traffic.bytesIn?.toString() ?? null,
    traffic.bytesOut?.toString() ?? null,
    traffic.packetsIn?.toString() ?? null,
    traffic.packetsOut?.toString() ?? null,
    id,
  );
}

/** ocserv does not list it any more, though it told no script of its end. */
export function noteMissing(tx: Transaction, { id }: LiveSession): void {
  const { wall, boot, mono } = tx.now;
  tx.write(
    'UPDATE session SET missing_wall = ?, missing_boot = ?, missing_mono = ? WHERE id = ?',
    wall,
    boot,
    mono,
    id,
  );
}

/**
 * Nobody will ever tell of its end: it is closed with the last that was known.
 * @param endedAt wall milliseconds.
 * @param why how we know; the portal is told, and by it an end that is told after all finds the record.
 */
export function closeLost(tx: Transaction, session: LiveSession, endedAt: number, why: string): EndedSession {
  const stats = statsOf(session.traffic, session.connectedAt, endedAt);
  const eventId = session.endEventId ?? newEventId(tx);
  const metadata = { reconciled: why };
  // One that we were ending, and whose hook could not tell: then we know better.
  const reason = session.endReason ?? 'CONNECTION_ERROR';
  tx.write(
    `UPDATE session SET ended_wall = ?, bytes_in = ?, bytes_out = ?, duration_seconds = ?, end_reason = ?,
       end_event_id = ?, metadata = json_patch(metadata, ?) WHERE id = ?`,
    endedAt,
    stats.bytesReceived,
    stats.bytesSent,
    stats.durationSeconds,
    reason,
    eventId,
    JSON.stringify(metadata),
    session.id,
  );
  return {
    sessionId: session.sessionId,
    username: session.username,
    vhost: session.vhostForPortal,
    known: true,
    already: false,
    reason,
    stats,
    eventId,
    metadata,
    at: endedAt,
  };
}

/** For the portal: what is not known is 0 there. */
export function statsOf(traffic: Traffic, connectedAt: number, now: number): Stats {
  return {
    durationSeconds: String(Math.max(0, Math.floor((now - connectedAt) / 1_000))),
    bytesReceived: String(traffic.bytesIn ?? 0n),
    bytesSent: String(traffic.bytesOut ?? 0n),
    packetsReceived: String(traffic.packetsIn ?? 0n),
    packetsSent: String(traffic.packetsOut ?? 0n),
  };
}

const COLUMNS = `id, session_id, ocserv_id, vhost, vhost_named, username, client_ip, connected_wall, seen_bytes_in,
  seen_bytes_out, seen_packets_in, seen_packets_out, missing_wall, missing_boot, missing_mono, end_event_id,
  end_reason`;

interface Row {
  id: number;
  session_id: string;
  ocserv_id: string;
  vhost: string;
  vhost_named: number;
  username: string;
  client_ip: string;
  connected_wall: number;
  seen_bytes_in: string | null;
  seen_bytes_out: string | null;
  seen_packets_in: string | null;
  seen_packets_out: string | null;
  missing_wall: number | null;
  missing_boot: string | null;
  missing_mono: number | null;
  end_event_id: string | null;
  end_reason: EndReason | null;
}

function fromRow(row: Row): LiveSession {
  const counted = (text: string | null): bigint | null => (text === null ? null : BigInt(text));
  return {
    id: row.id,
    sessionId: row.session_id,
    ocservId: row.ocserv_id,
    vhost: row.vhost,
    vhostForPortal: row.vhost_named === 1 ? row.vhost : null,
    username: row.username,
    clientIp: row.client_ip,
    connectedAt: row.connected_wall,
    traffic: {
      bytesIn: counted(row.seen_bytes_in),
      bytesOut: counted(row.seen_bytes_out),
      packetsIn: counted(row.seen_packets_in),
      packetsOut: counted(row.seen_packets_out),
    },
    missingSince:
      row.missing_wall === null
        ? null
        : { wall: row.missing_wall, boot: row.missing_boot ?? '', mono: row.missing_mono ?? 0 },
    endEventId: row.end_event_id,
    endReason: row.end_reason,
  };
}
