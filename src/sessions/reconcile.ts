import type { Config } from '../config/schema.ts';
import { enqueueEnd } from '../events/record.ts';
import { isExact, isName, type Listed } from '../ocserv/occtl.ts';
import { type Instant, leastAge } from '../resilience/instant.ts';
import {
  closeLost,
  type LiveSession,
  noteMissing,
  noteSeen,
  seenTraffic,
  statsOf,
  type Traffic,
} from '../state/live-sessions.ts';
import { enqueue } from '../state/outbox.ts';
import { beginSession, sessionIdOf } from '../state/sessions.ts';
import type { Transaction } from '../state/transaction.ts';

/**
 * Milliseconds between two looks that must both miss a session before it is taken to be gone: a disconnect-script may
 * just be running, and one look may be wrong.
 */
const SURE_AFTER_MS = 60_000;

/** How far apart occtl's minute of a session and our record of it may be: the login lies between them. */
const SAME_SESSION_MS = 5 * 60_000;

/** @param record the newest live one under the ID of a session that ocserv has. @returns it, if it can be the same session. */
export function recordOf(listed: Listed, record: LiveSession | undefined): LiveSession | undefined {
  if (record === undefined || !isName(listed.username, record.username)) return undefined;
  // The ID is a process id and recurs, for the same user even.
  const { connectedAt } = listed;
  const isLater = connectedAt !== null && connectedAt - record.connectedAt > SAME_SESSION_MS;
  return isLater ? undefined : record;
}

/** ocserv has this session: its traffic is kept, and the portal is to hear of it. */
export function reportLive(
  tx: Transaction,
  session: LiveSession,
  measured: Traffic,
  { events }: Config,
): void {
  const { sessionId, username, vhostForPortal: vhost, connectedAt } = session;
  const traffic = seenTraffic(session.traffic, measured);
  const { bytesIn, bytesOut } = session.traffic;
  const isIdle = bytesIn !== null && bytesIn === traffic.bytesIn && bytesOut === traffic.bytesOut;
  noteSeen(tx, session, traffic);
  if (!events.enabled) return;
  enqueue(
    tx,
    {
      type: 'update',
      sessionId,
      username,
      vhost,
      at: tx.now.wall,
      stats: statsOf(traffic, connectedAt, tx.now.wall),
      status: isIdle ? 'IDLE' : 'ACTIVE',
    },
    { maxPending: events.max_pending },
  );
}

/**
 * ocserv has a session whose connect is not on record: its hook could not write the state. From now on it is.
 * @param since wall milliseconds when occtl was asked: one that has ended since then is on record, and not taken up again.
 * @returns whether it was taken up.
 */
export function takeUp(tx: Transaction, listed: Listed, since: number, { events }: Config): boolean {
  // Whose name occtl cannot tell, nobody can take up: its end will be told by ocserv, with his name.
  if (listed.state !== 'connected' || !isExact(listed.username)) return false;
  const { id, username } = listed;
  const isKnown =
    tx.row(
      'SELECT 1 FROM session WHERE ocserv_id = ? AND username = ? AND ended_wall IS NULL',
      id,
      username,
    ) ??
    tx.row(
      'SELECT 1 FROM session WHERE ocserv_id = ? AND username = ? AND ended_wall >= ?',
      id,
      username,
      since - SAME_SESSION_MS,
    );
  if (isKnown !== undefined) return false;
  const connectedAt = listed.connectedAt ?? tx.now.wall;
  const session = {
    sessionId: sessionIdOf(listed.id, connectedAt),
    username: listed.username,
    groupname: listed.groupname,
    clientIp: listed.remoteIp,
    vpnIp: listed.vpnIp,
    device: listed.device,
  };
  const vhostNamed = listed.vhost !== 'default';
  beginSession(tx, {
    ...session,
    ocservId: listed.id,
    vhost: listed.vhost,
    vhostNamed,
    source: 'unknown',
    routes: [],
    dnsServers: [],
    metadata: {},
    connectedAt,
  });
  if (!events.enabled) return true;
  enqueue(
    tx,
    {
      type: 'connect',
      ...session,
      vhost: vhostNamed ? listed.vhost : null,
      at: connectedAt,
      metadata: { source: 'unknown', taken_up: 'true' },
    },
    { maxPending: events.max_pending },
  );
  return true;
}

/** ocserv does not have this session, by a good list. @returns whether it was closed for it. */
export function missing(tx: Transaction, session: LiveSession, config: Config): boolean {
  if (session.missingSince === null) {
    noteMissing(tx, session);
    return false;
  }
  return closeIfSure(tx, session, session.missingSince, 'not in two lists of occtl', config);
}

/** Nobody answers at ocserv's socket since then. @returns whether the session was closed for it. */
export function serverIsDead(tx: Transaction, session: LiveSession, since: Instant, config: Config): boolean {
  // One that began since then shows that it is not.
  if (session.connectedAt > since.wall) return false;
  return closeIfSure(tx, session, since, 'ocserv is gone', config);
}

function closeIfSure(
  tx: Transaction,
  session: LiveSession,
  since: Instant,
  why: string,
  config: Config,
): boolean {
  // By the slower of both clocks: one that is set forward must not close sessions.
  if (leastAge(since, tx.now) < SURE_AFTER_MS) return false;
  const ended = closeLost(tx, session, since.wall, why);
  if (config.events.enabled) enqueueEnd(tx, ended, config);
  return true;
}
