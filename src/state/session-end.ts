import type { EndReason, Stats } from '../accounting/event.ts';
import { finalCounts, type TunnelCounts } from '../accounting/final-counts.ts';
import { newEventId } from './outbox.ts';
import {
  ENDING_COLUMNS,
  type EndingRow,
  findLive,
  LOGIN_ALLOWANCE_MS,
  type Sought,
  sessionIdOf,
} from './sessions.ts';
import type { Transaction } from './transaction.ts';

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
    // What was presumed goes unsaid where it has not been said yet.
    tx.write('DELETE FROM event WHERE id = ? AND attempts = 0', presumed.end_event_id);
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
  { id }: EndingRow,
  { at, stats, reason, metadata, eventId }: EndedSession,
  named: SessionEnd,
): void {
  tx.write(
    `UPDATE session SET ended_wall = ?, bytes_in = ?, bytes_out = ?, duration_seconds = ?, end_reason = ?,
       end_event_id = ?, metadata = json_patch(metadata, ?) WHERE id = ?`,
    at,
    onRecord(stats.bytesReceived, named.bytesIn),
    onRecord(stats.bytesSent, named.bytesOut),
    named.durationSeconds,
    reason,
    eventId,
    JSON.stringify(metadata),
    id,
  );
}

function endedSession(tx: Transaction, row: EndingRow, end: SessionEnd): EndedSession {
  const reason = row.end_reason ?? end.reason;
  const counts = finalCounts({ ...end, reason }, seenOf(row));
  const lasted = Math.max(0, Math.floor((tx.now.wall - row.connected_wall) / 1_000));
  return {
    sessionId: row.session_id,
    username: row.username,
    vhost: row.vhost_named === 1 || end.vhostNamed ? row.vhost : null,
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

function seenOf(row: EndingRow): TunnelCounts | null {
  const { seen_bytes_in, seen_bytes_out } = row;
  if (seen_bytes_in === null || seen_bytes_out === null) return null;
  return {
    bytesIn: seen_bytes_in,
    bytesOut: seen_bytes_out,
    packetsIn: row.seen_packets_in ?? '0',
    packetsOut: row.seen_packets_out ?? '0',
  };
}

/** A record that was closed because ocserv seemed gone, though its session went on: one that lasted as long as this one. */
function findPresumedLost(
  tx: Transaction,
  { ocservId, vhost, username, durationSeconds }: Sought,
): EndingRow | undefined {
  if (ocservId === '' || durationSeconds === null) return undefined;
  const began = tx.now.wall - Number(durationSeconds) * 1_000;
  return tx.row<EndingRow>(
    `SELECT ${ENDING_COLUMNS} FROM session WHERE ocserv_id = ? AND username = ? AND vhost = ? AND ended_wall IS NOT NULL
       AND json_extract(metadata, '$.reconciled') IS NOT NULL
       AND json_extract(metadata, '$.corrects_event_id') IS NULL
       AND connected_wall BETWEEN ? AND ? ORDER BY id DESC LIMIT 1`,
    ocservId,
    username,
    vhost,
    began - LOGIN_ALLOWANCE_MS,
    began + LOGIN_ALLOWANCE_MS,
  );
}

/** How long ago the try before this one can have recorded the end, at most. */
const TRIES_MS = 5 * 60_000;

function findJustEnded(tx: Transaction, end: SessionEnd): EndingRow | undefined {
  return tx.row<EndingRow>(
    `SELECT ${ENDING_COLUMNS} FROM session WHERE ocserv_id = ? AND username = ? AND vhost = ? AND ended_wall > ?
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
