import type { EndReason } from '../accounting/event.ts';
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

/** ocserv counts a session from the TCP accept, so its record begins later by the time of the login and the hook. */
export const LOGIN_ALLOWANCE_MS = 5 * 60_000;

/** What is needed of a record to end it. */
export interface EndingRow {
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

export const ENDING_COLUMNS = `id, session_id, vhost, vhost_named, username, connected_wall, connected_boot, connected_mono,
  end_event_id, end_reason, seen_bytes_in, seen_bytes_out, seen_packets_in, seen_packets_out`;

/** What ocserv names of a session that it speaks of. */
export interface Sought {
  readonly ocservId: string;
  readonly vhost: string;
  readonly username: string;
  readonly durationSeconds: string | null;
}

export function findLive(
  tx: Transaction,
  { ocservId, vhost, username, durationSeconds }: Sought,
): EndingRow | undefined {
  if (ocservId === '') return undefined;
  const row = tx.row<EndingRow>(
    `SELECT ${ENDING_COLUMNS} FROM session WHERE ocserv_id = ? AND ended_wall IS NULL ORDER BY id DESC LIMIT 1`,
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
