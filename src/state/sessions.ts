import type { EndReason, Stats } from '../events/event.ts';
import { finalCounts, type TunnelCounts } from '../events/final-counts.ts';
import { leastAge } from '../resilience/instant.ts';
import { newEventId } from './outbox.ts';
import type { Transaction } from './transaction.ts';

/** A session that begins, under the id that the portal was asked with. */
export interface NewSession {
  readonly sessionId: string;
  readonly ocservId: string;
  readonly vhost: string;
  /** False where `vhost` is only our default, which the portal need not hear of. */
  readonly vhostNamed: boolean;
  readonly username: string;
  readonly groupname: string;
  readonly clientIp: string;
  readonly vpnIp: string;
  readonly device: string;
  /** How its connect was decided. */
  readonly source: string;
  readonly routes: readonly string[];
  readonly dnsServers: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Wall milliseconds, where it did not begin just now. */
  readonly connectedAt?: number;
}

/** What ocserv says of a session at its end. Counts are decimal text, exact in 64 bits; null when ocserv named none. */
export interface SessionEnd {
  readonly ocservId: string;
  readonly vhost: string;
  readonly vhostNamed: boolean;
  readonly username: string;
  readonly bytesIn: string | null;
  readonly bytesOut: string | null;
  readonly durationSeconds: string | null;
  /** Null where ocserv named traffic itself, or the tunnel was gone. */
  readonly tunnel: TunnelCounts | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** As far as the caller knows; one that we forced ourselves is on record and goes before it. */
  readonly reason: EndReason;
  /** An earlier try was killed, perhaps after it had recorded the end. */
  readonly again?: boolean;
}

/** A session that has ended, as the portal is to hear of it. */
export interface EndedSession {
  readonly sessionId: string;
  readonly username: string;
  /** Null where ocserv named none. */
  readonly vhost: string | null;
  /** Its beginning was on record. */
  readonly known: boolean;
  /** An earlier try has recorded it, event and all. */
  readonly already: boolean;
  readonly reason: EndReason;
  readonly stats: Stats;
  readonly eventId: string;
  /** What else the portal is told of it. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly at: number;
}

/** ocserv counts a session from the TCP accept, so its record begins later by the time of the login and the hook. */
const LOGIN_ALLOWANCE_MS = 5 * 60_000;

export function beginSession(tx: Transaction, session: NewSession): void {
  const { connectedAt } = session;
  tx.write(
    `INSERT INTO session (session_id, ocserv_id, vhost, vhost_named, username, groupname, client_ip, vpn_ip, device,
       source, routes, dns_servers, connected_wall, connected_boot, connected_mono, metadata, end_event_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session.sessionId,
    session.ocservId,
    session.vhost,
    session.vhostNamed ? 1 : 0,
    session.username,
    session.groupname,
    session.clientIp,
    session.vpnIp,
    session.device,
    session.source,
    JSON.stringify(session.routes),
    JSON.stringify(session.dnsServers),
    connectedAt ?? tx.now.wall,
    // The kernel's clock says nothing of a moment that was only told us.
    connectedAt === undefined ? tx.now.boot : '',
    connectedAt === undefined ? tx.now.mono : 0,
    JSON.stringify(session.metadata),
    newEventId(tx),
  );
}

/**
 * Ends the session that ocserv speaks of, with its exact counts. Without a record (a connect killed half-way, lost
 * state) the end is kept as a record of its own: accounting counts ends.
 */
export function endSession(tx: Transaction, end: SessionEnd): EndedSession {
  const recorded = end.again ? findJustEnded(tx, end) : undefined;
  if (recorded !== undefined) return { ...endedSession(tx, recorded, end), already: true };
  const live = findLive(tx, end);
  if (live !== undefined) {
    const ended = endedSession(tx, live, end);
    close(tx, live, ended, end);
    return ended;
  }
  const presumed = findPresumedLost(tx, end);
  if (presumed !== undefined) {
    const metadata = { ...end.metadata, corrects_event_id: presumed.end_event_id ?? '' };
    // Under an id of its own: under the old one the portal would take it for a repeat.
    const unreported = { ...presumed, end_reason: null, end_event_id: newEventId(tx) };
    const ended = endedSession(tx, unreported, { ...end, metadata });
    close(tx, presumed, ended, end);
    return ended;
  }
  const ended = endOfUnknown(end, tx.now.wall, newEventId(tx));
  tx.write(
    `INSERT INTO session (session_id, ocserv_id, vhost, vhost_named, username, groupname, client_ip, vpn_ip, device,
       source, routes, dns_servers, connected_wall, connected_boot, connected_mono, ended_wall, bytes_in, bytes_out,
       duration_seconds, metadata, end_event_id, end_reason)
     VALUES (?, ?, ?, ?, ?, '', '', '', '', 'unknown', '[]', '[]', ?, '', 0, ?, ?, ?, ?, ?, ?, ?)`,
    ended.sessionId,
    end.ocservId,
    end.vhost,
    end.vhostNamed ? 1 : 0,
    end.username,
    beganAt(end, tx.now.wall),
    ended.at,
    onRecord(ended.stats.bytesReceived, end.bytesIn),
    onRecord(ended.stats.bytesSent, end.bytesOut),
    end.durationSeconds,
    JSON.stringify(ended.metadata),
    ended.eventId,
    ended.reason,
  );
  return ended;
}

/** The end of a session of which there is no record: what ocserv says of it is all there is. @param now wall milliseconds. */
export function endOfUnknown(end: SessionEnd, now: number, eventId: string): EndedSession {
  const counts = finalCounts(end, null);
  return {
    sessionId: sessionIdOf(end.ocservId, beganAt(end, now)),
    username: end.username,
    vhost: end.vhostNamed ? end.vhost : null,
    known: false,
    already: false,
    reason: end.reason,
    stats: {
      durationSeconds: end.durationSeconds ?? '0',
      bytesReceived: counts.bytesIn ?? '0',
      bytesSent: counts.bytesOut ?? '0',
      packetsReceived: counts.packetsIn,
      packetsSent: counts.packetsOut,
    },
    eventId,
    metadata: {
      ...end.metadata,
      connect_recorded: 'false',
      ...(counts.source === 'kernel' ? { stats_source: 'kernel' } : {}),
    },
    at: now,
  };
}

/** On record a count that nobody named is unknown; the portal's message has only 0 for it. */
function onRecord(booked: string, named: string | null): string | null {
  return named === null && booked === '0' ? null : booked;
}

function close(
  tx: Transaction,
  { id }: Row,
  { at, stats, reason, metadata }: EndedSession,
  named: SessionEnd,
): void {
  tx.write(
    `UPDATE session SET ended_wall = ?, bytes_in = ?, bytes_out = ?, duration_seconds = ?, end_reason = ?,
       metadata = json_patch(metadata, ?) WHERE id = ?`,
    at,
    onRecord(stats.bytesReceived, named.bytesIn),
    onRecord(stats.bytesSent, named.bytesOut),
    named.durationSeconds,
    reason,
    JSON.stringify(metadata),
    id,
  );
}

function endedSession(tx: Transaction, row: Row, end: SessionEnd): EndedSession {
  const reason = row.end_reason ?? end.reason;
  const counts = finalCounts({ ...end, reason }, seenOf(row));
  const lasted = Math.max(0, Math.floor((tx.now.wall - row.connected_wall) / 1_000));
  return {
    sessionId: row.session_id,
    username: row.username,
    vhost: row.vhost_named === 1 ? row.vhost : null,
    known: true,
    already: false,
    reason,
    stats: {
      durationSeconds: end.durationSeconds ?? String(lasted),
      bytesReceived: counts.bytesIn ?? '0',
      bytesSent: counts.bytesOut ?? '0',
      packetsReceived: counts.packetsIn,
      packetsSent: counts.packetsOut,
    },
    eventId: row.end_event_id ?? newEventId(tx),
    metadata: { ...end.metadata, ...(counts.source === 'kernel' ? { stats_source: 'kernel' } : {}) },
    at: tx.now.wall,
  };
}

function seenOf(row: Row): TunnelCounts | null {
  const { seen_bytes_in, seen_bytes_out } = row;
  if (seen_bytes_in === null || seen_bytes_out === null) return null;
  return {
    bytesIn: seen_bytes_in,
    bytesOut: seen_bytes_out,
    packetsIn: row.seen_packets_in ?? '0',
    packetsOut: row.seen_packets_out ?? '0',
  };
}

/** Notes a host-update on the live session it speaks of. @returns the session's id, or null when there is none. */
export function updateSession(
  tx: Transaction,
  session: { ocservId: string; vhost: string; username: string },
  metadata: Readonly<Record<string, string>>,
): string | null {
  const live = findLive(tx, { ...session, durationSeconds: null });
  if (live === undefined) return null;
  tx.write(
    'UPDATE session SET updated_wall = ?, metadata = json_patch(metadata, ?) WHERE id = ?',
    tx.now.wall,
    JSON.stringify(metadata),
    live.id,
  );
  return live.session_id;
}

export function liveSessionCount(tx: Transaction): number {
  return tx.row<{ n: number }>('SELECT count(*) AS n FROM session WHERE ended_wall IS NULL')?.n ?? 0;
}

/** `<ID>-<unix seconds of the connect>`: ocserv's ID alone recurs (contract/cli.md, "Session id"). */
export function sessionIdOf(ocservId: string, connectedWall: number): string {
  return `${ocservId === '' ? '0' : ocservId}-${Math.floor(connectedWall / 1_000)}`;
}

/** What is needed of a record to end it. */
interface Row {
  readonly id: number;
  readonly session_id: string;
  readonly vhost: string;
  readonly vhost_named: number;
  readonly username: string;
  readonly connected_wall: number;
  readonly connected_boot: string;
  readonly connected_mono: number;
  readonly end_event_id: string | null;
  readonly end_reason: EndReason | null;
  readonly seen_bytes_in: string | null;
  readonly seen_bytes_out: string | null;
  readonly seen_packets_in: string | null;
  readonly seen_packets_out: string | null;
}

const COLUMNS = `id, session_id, vhost, vhost_named, username, connected_wall, connected_boot, connected_mono,
  end_event_id, end_reason, seen_bytes_in, seen_bytes_out, seen_packets_in, seen_packets_out`;

type Sought = Pick<SessionEnd, 'ocservId' | 'vhost' | 'username' | 'durationSeconds'>;

function findLive(tx: Transaction, { ocservId, vhost, username, durationSeconds }: Sought): Row | undefined {
  if (ocservId === '') return undefined;
  const row = tx.row<Row>(
    `SELECT ${COLUMNS} FROM session WHERE ocserv_id = ? AND ended_wall IS NULL ORDER BY id DESC LIMIT 1`,
    ocservId,
  );
  if (row === undefined || row.username !== username || row.vhost !== vhost) return undefined;
  // A process id recurs: a record much older than the session that just ended is of an earlier one, whose end was lost.
  const recorded = leastAge(
    { wall: row.connected_wall, boot: row.connected_boot, mono: row.connected_mono },
    tx.now,
  );
  const lasted = Number(durationSeconds ?? Number.NaN) * 1_000;
  return recorded > lasted + LOGIN_ALLOWANCE_MS ? undefined : row;
}

/** A record that was closed because ocserv seemed gone, though its session went on: one that lasted as long as this one. */
function findPresumedLost(
  tx: Transaction,
  { ocservId, vhost, username, durationSeconds }: Sought,
): Row | undefined {
  if (ocservId === '' || durationSeconds === null) return undefined;
  const began = tx.now.wall - Number(durationSeconds) * 1_000;
  return tx.row<Row>(
    `SELECT ${COLUMNS} FROM session WHERE ocserv_id = ? AND username = ? AND vhost = ? AND ended_wall IS NOT NULL
       AND end_reason = 'CONNECTION_ERROR' AND connected_wall BETWEEN ? AND ? ORDER BY id DESC LIMIT 1`,
    ocservId,
    username,
    vhost,
    began - LOGIN_ALLOWANCE_MS,
    began + LOGIN_ALLOWANCE_MS,
  );
}

/** How long ago the try before this one can have recorded the end, at most. */
const TRIES_MS = 5 * 60_000;

function findJustEnded(tx: Transaction, end: SessionEnd): Row | undefined {
  return tx.row<Row>(
    `SELECT ${COLUMNS} FROM session WHERE ocserv_id = ? AND username = ? AND vhost = ? AND ended_wall > ?
       AND (duration_seconds = ? OR ? IS NULL) ORDER BY id DESC LIMIT 1`,
    end.ocservId,
    end.username,
    end.vhost,
    tx.now.wall - TRIES_MS,
    end.durationSeconds,
    end.durationSeconds,
  );
}

/** When a session began that was never recorded: as long ago as ocserv says it lasted, else now. */
function beganAt({ durationSeconds }: SessionEnd, now: number): number {
  const lasted = Number(durationSeconds ?? 0) * 1_000;
  return lasted <= now ? now - lasted : now;
}
