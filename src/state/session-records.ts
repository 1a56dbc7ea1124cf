import { fromJson, isTexts } from './json.ts';
import type { Transaction } from './transaction.ts';

/** A session from connect to disconnect, as it is on record. Times are wall milliseconds, counts decimal text. */
export interface SessionRecord {
  readonly sessionId: string;
  readonly ocservId: string;
  readonly vhost: string;
  readonly username: string;
  readonly groupname: string;
  readonly clientIp: string;
  readonly vpnIp: string;
  readonly device: string;
  readonly source: string;
  readonly connectedAt: number;
  readonly seenAt: number | null;
  readonly endedAt: number | null;
  readonly endReason: string | null;
  /** The final figures; of a live session the last that were seen. */
  readonly bytesIn: string | null;
  readonly bytesOut: string | null;
  readonly durationSeconds: string | null;
  readonly routes: readonly string[];
  readonly dnsServers: readonly string[];
  /** Null until the portal has answered the connect's report. */
  readonly updatedRoutes: readonly string[] | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface SessionFilter {
  readonly username?: string | undefined;
  /** Those that have ended, too. */
  readonly all?: boolean;
  readonly limit: number;
}

/** The latest first. */
export function listSessions(tx: Transaction, { username, all, limit }: SessionFilter): SessionRecord[] {
  return tx
    .rows<Row>(
      `SELECT * FROM session WHERE (? = 1 OR ended_wall IS NULL) AND (? IS NULL OR username = ?)
       ORDER BY id DESC LIMIT ?`,
      all ? 1 : 0,
      username ?? null,
      username ?? null,
      limit,
    )
    .map(fromRow);
}

/** The portal answered the connect's report. */
export function keepUpdatedRoutes(tx: Transaction, sessionId: string, routes: readonly string[]): void {
  // Each half has an index of its own.
  for (const ended of ['ended_wall IS NULL', 'ended_wall IS NOT NULL']) {
    const sql = `UPDATE session SET updated_routes = ? WHERE session_id = ? AND ${ended}`;
    if (tx.write(sql, JSON.stringify(routes), sessionId) > 0) return;
  }
}

/** ocserv's ID of a live session; undefined when it has ended. */
export function ocservIdOf(tx: Transaction, sessionId: string): string | undefined {
  return tx.row<{ ocserv_id: string }>(
    'SELECT ocserv_id FROM session WHERE session_id = ? AND ended_wall IS NULL',
    sessionId,
  )?.ocserv_id;
}

/** When the live session of that ID was connected, if it is on record. */
export function connectedAtOf(tx: Transaction, ocservId: string, username: string): number | undefined {
  return tx.row<{ wall: number }>(
    `SELECT connected_wall AS wall FROM session WHERE ocserv_id = ? AND username = ? AND ended_wall IS NULL
     ORDER BY id DESC LIMIT 1`,
    ocservId,
    username,
  )?.wall;
}

/** Removes sessions that ended before a wall time and of which the portal has all. @returns how many. */
export function removeOldSessions(tx: Transaction, before: number, batch: number): number {
  return tx.write(
    `DELETE FROM session WHERE id IN (SELECT id FROM session WHERE ended_wall < ?
       AND NOT EXISTS (SELECT 1 FROM event WHERE event.session_id = session.session_id) LIMIT ?)`,
    before,
    batch,
  );
}

/** Whether there is any that `removeSessionsBeforeEvents` would remove: a look at the whole table, which holds up nobody. */
export function hasSessionsBeforeEvents(tx: Transaction, before: number): boolean {
  const sql = 'SELECT 1 FROM session_before_events WHERE coalesce(ended_wall, 0) < ? LIMIT 1';
  return tx.row(sql, before) !== undefined;
}

/** As `removeOldSessions`, of those that an older version recorded, which reported none to the portal. */
export function removeSessionsBeforeEvents(tx: Transaction, before: number, batch: number): number {
  return tx.write(
    `DELETE FROM session_before_events WHERE id IN
       (SELECT id FROM session_before_events WHERE coalesce(ended_wall, 0) < ? LIMIT ?)`,
    before,
    batch,
  );
}

interface Row {
  session_id: string;
  ocserv_id: string;
  vhost: string;
  username: string;
  groupname: string;
  client_ip: string;
  vpn_ip: string;
  device: string;
  source: string;
  connected_wall: number;
  seen_wall: number | null;
  ended_wall: number | null;
  end_reason: string | null;
  bytes_in: string | null;
  bytes_out: string | null;
  seen_bytes_in: string | null;
  seen_bytes_out: string | null;
  duration_seconds: string | null;
  routes: string;
  dns_servers: string;
  updated_routes: string | null;
  metadata: string;
}

function fromRow(row: Row): SessionRecord {
  const live = row.ended_wall === null;
  return {
    sessionId: row.session_id,
    ocservId: row.ocserv_id,
    vhost: row.vhost,
    username: row.username,
    groupname: row.groupname,
    clientIp: row.client_ip,
    vpnIp: row.vpn_ip,
    device: row.device,
    source: row.source,
    connectedAt: row.connected_wall,
    seenAt: row.seen_wall,
    endedAt: row.ended_wall,
    endReason: row.end_reason,
    bytesIn: live ? row.seen_bytes_in : row.bytes_in,
    bytesOut: live ? row.seen_bytes_out : row.bytes_out,
    durationSeconds: row.duration_seconds,
    routes: fromJson(row.routes, isTexts),
    dnsServers: fromJson(row.dns_servers, isTexts),
    updatedRoutes: row.updated_routes === null ? null : fromJson(row.updated_routes, isTexts),
    metadata: fromJson(row.metadata, isTable),
  };
}

function isTable(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
