import { type Instant, leastAge } from '../resilience/instant.ts';
import type { Transaction } from './transaction.ts';

/** A session that begins, under the id that the portal was asked with. */
export interface NewSession {
  readonly sessionId: string;
  readonly ocservId: string;
  readonly vhost: string;
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
}

/** What ocserv says of a session at its end. Counts are decimal text, exact in 64 bits; null when ocserv named none. */
export interface SessionEnd {
  readonly ocservId: string;
  readonly vhost: string;
  readonly username: string;
  readonly bytesIn: string | null;
  readonly bytesOut: string | null;
  readonly durationSeconds: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** An earlier try was killed, perhaps after it had recorded the end. */
  readonly again?: boolean;
}

/** ocserv counts a session from the TCP accept, so its record begins later by the time of the login and the hook. */
const LOGIN_ALLOWANCE_MS = 5 * 60_000;

export function beginSession(tx: Transaction, session: NewSession): void {
  tx.write(
    `INSERT INTO session (session_id, ocserv_id, vhost, username, groupname, client_ip, vpn_ip, device, source,
       routes, dns_servers, connected_wall, connected_boot, connected_mono, metadata)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    session.sessionId,
    session.ocservId,
    session.vhost,
    session.username,
    session.groupname,
    session.clientIp,
    session.vpnIp,
    session.device,
    session.source,
    JSON.stringify(session.routes),
    JSON.stringify(session.dnsServers),
    tx.now.wall,
    tx.now.boot,
    tx.now.mono,
    JSON.stringify(session.metadata),
  );
}

/**
 * Ends the session that ocserv speaks of, with its exact counts. Without a record (a connect killed half-way, lost
 * state) the end is kept as a record of its own: accounting counts ends.
 * @returns the session's id as the portal knows it, and whether its beginning was on record.
 */
export function endSession(tx: Transaction, end: SessionEnd): { sessionId: string; known: boolean } {
  const recorded = end.again ? findJustEnded(tx, end) : undefined;
  if (recorded !== undefined) return { sessionId: recorded.session_id, known: true };
  const live = findLive(tx, end);
  if (live !== undefined) {
    tx.write(
      `UPDATE session SET ended_wall = ?, bytes_in = ?, bytes_out = ?, duration_seconds = ?,
         metadata = json_patch(metadata, ?) WHERE id = ?`,
      tx.now.wall,
      end.bytesIn,
      end.bytesOut,
      end.durationSeconds,
      JSON.stringify(end.metadata),
      live.id,
    );
    return { sessionId: live.session_id, known: true };
  }
  const began = beganAt(end, tx.now);
  const sessionId = sessionIdOf(end.ocservId, began);
  tx.write(
    `INSERT INTO session (session_id, ocserv_id, vhost, username, groupname, client_ip, vpn_ip, device, source,
       routes, dns_servers, connected_wall, connected_boot, connected_mono, ended_wall, bytes_in, bytes_out,
       duration_seconds, metadata)
     VALUES (?, ?, ?, ?, '', '', '', '', 'unknown', '[]', '[]', ?, '', 0, ?, ?, ?, ?, ?)`,
    sessionId,
    end.ocservId,
    end.vhost,
    end.username,
    began,
    tx.now.wall,
    end.bytesIn,
    end.bytesOut,
    end.durationSeconds,
    JSON.stringify(end.metadata),
  );
  return { sessionId, known: false };
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

function findLive(
  tx: Transaction,
  {
    ocservId,
    vhost,
    username,
    durationSeconds,
  }: Pick<SessionEnd, 'ocservId' | 'vhost' | 'username' | 'durationSeconds'>,
): { id: number; session_id: string } | undefined {
  if (ocservId === '') return undefined;
  const row = tx.row<{
    id: number;
    session_id: string;
    vhost: string;
    username: string;
    connected_wall: number;
    connected_boot: string;
    connected_mono: number;
  }>(
    `SELECT id, session_id, vhost, username, connected_wall, connected_boot, connected_mono
     FROM session WHERE ocserv_id = ? AND ended_wall IS NULL ORDER BY id DESC LIMIT 1`,
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

/** How long ago the try before this one can have recorded the end, at most. */
const TRIES_MS = 5 * 60_000;

function findJustEnded(tx: Transaction, end: SessionEnd): { session_id: string } | undefined {
  return tx.row<{ session_id: string }>(
    `SELECT session_id FROM session WHERE ocserv_id = ? AND username = ? AND vhost = ? AND ended_wall > ?
       AND bytes_in IS ? AND bytes_out IS ? AND duration_seconds IS ? ORDER BY id DESC LIMIT 1`,
    end.ocservId,
    end.username,
    end.vhost,
    tx.now.wall - TRIES_MS,
    end.bytesIn,
    end.bytesOut,
    end.durationSeconds,
  );
}

/** When a session began that was never recorded: as long ago as ocserv says it lasted, else now. */
function beganAt({ durationSeconds }: SessionEnd, now: Instant): number {
  const lasted = Number(durationSeconds ?? 0) * 1_000;
  return lasted <= now.wall ? now.wall - lasted : now.wall;
}
