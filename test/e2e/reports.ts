import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { LogLine } from '../../scripts/stage/hook-log.ts';
import type { Connected } from '../../scripts/vpn/client.ts';
import { inside } from '../../scripts/vpn/network.ts';
import { must } from '../../scripts/vpn/run.ts';
import { within } from '../../scripts/vpn/running.ts';
import type { RealHook } from './real-hook.ts';

/** The portal's numbers for why a session ended (contract/portal.md, `DisconnectReason`). */
export const REASON = {
  UNSPECIFIED: 0,
  USER_INITIATED: 1,
  ADMIN_FORCED: 2,
  CERTIFICATE_REVOKED: 5,
  POLICY_VIOLATION: 6,
  SERVER_SHUTDOWN: 7,
  CONNECTION_ERROR: 8,
} as const;

/** 64-bit counts, as text: the portal's log has them so. */
export interface Stats {
  durationSeconds: string;
  bytesReceived: string;
  bytesSent: string;
  packetsReceived: string;
  packetsSent: string;
}

/** A Report call as the portal's log has it. */
export type Report = LogLine & {
  rpc: 'ReportConnect' | 'ReportDisconnect' | 'ReportSessionUpdate';
  session_id: string;
  'x-event-id': string;
  peer: string;
  request: {
    username: string;
    clientIp: string;
    vpnIp: string;
    device: string;
    connectedAt: string;
    reason: number;
    stats: Stats;
    currentStats: Stats;
    metadata: Record<string, string>;
  };
};

/** What the configuration must say so that occtl finds this VPN's ocserv. */
export function occtlConfig(real: RealHook): string {
  return `
    [ocserv]
    occtl_socket = ${JSON.stringify(join(real.vpn.folder, 'occtl.sock'))}
  `;
}

/** The id under which the portal knows that user's session. */
export async function sessionOf(real: RealHook, username: string): Promise<string> {
  return String((await real.decision(username))['session_id']);
}

/** What the portal was told of these sessions, in the order in which it took it. */
export function reportsOf(real: RealHook, ...sessionIds: readonly string[]): Report[] {
  return real.portal
    .calls()
    .filter(({ rpc, session_id }) => /^Report/.test(String(rpc)) && sessionIds.includes(String(session_id)))
    .map((line) => line as Report);
}

/** What it was told of all sessions on record. */
export function reports(real: RealHook): Report[] {
  return reportsOf(real, ...real.sessions().map(({ session_id }) => session_id));
}

/** Resolves with the first call of that kind about the session, at once when it came already. */
export async function report(real: RealHook, rpc: Report['rpc'], session_id: string): Promise<Report> {
  return (await real.portal.call({ rpc, session_id })) as Report;
}

/** Resolves when nothing is left to be told, so that what the portal has by then is all that it gets. */
export async function allDelivered(real: RealHook): Promise<void> {
  const { status, stdout, stderr } = await real.commandOnServer('events', 'flush', '--json');
  assert.equal(status, 0, stdout + stderr);
  assert.partialDeepStrictEqual(JSON.parse(stdout), { pending: 0, failed: 0 });
  await portalRead();
}

/**
 * The portal writes a call's line before it answers, so with the answer it is in the pipe; resolves when all that was there
 * has been read from it.
 */
async function portalRead(): Promise<void> {
  for (const _ of [1, 2]) await new Promise((resolve) => setImmediate(resolve));
}

export interface Synced {
  live: number;
  taken_up: number;
  closed: number;
  ended_by_order: number;
  invalid: number;
  problems: string[];
}

/** `sessions sync`, as cron runs it; its status must be 0 where there is no problem, else 1. */
export async function sync(real: RealHook): Promise<Synced> {
  const { status, stdout, stderr } = await real.commandOnServer('sessions', 'sync', '--json');
  assert.ok(stdout !== '', `sessions sync ended with ${status}: ${stderr}`);
  const synced = JSON.parse(stdout) as Synced;
  assert.equal(status, synced.problems.length === 0 ? 0 : 1, stdout + stderr);
  await portalRead();
  return synced;
}

/** `sessions sync`, where nothing may go wrong. */
export async function syncWell(real: RealHook): Promise<Synced> {
  const synced = await sync(real);
  assert.deepEqual(synced.problems, []);
  return synced;
}

/**
 * Lets the state's database grow older by 61 s, so that a session that was missing in one look is so for a minute when the
 * next one comes. It stands in for a minute's wait: all moments that the decision rests on move, the sessions' connects
 * among them.
 */
export function minutePasses(real: RealHook): void {
  const older = (table: string, name: string) =>
    `UPDATE ${table} SET ${name}_wall = ${name}_wall - 61000, ${name}_mono = ${name}_mono - 61000 WHERE ${name}_wall IS NOT NULL;`;
  real.change(
    older('session', 'connected') +
      older('session', 'missing') +
      older('occtl_contact', 'dead') +
      'UPDATE session SET seen_wall = seen_wall - 61000;',
  );
}

/** The client is thrown out, and ends for it. */
export async function thrownOut(...clients: readonly Connected[]): Promise<void> {
  for (const client of clients) {
    await within(client.exited, 10_000, () => `the client of ${client.vpnIp} goes on:\n${client.log.tail}`);
  }
}

/** The IDs under which ocserv has sessions now. */
export async function ocservIds(real: RealHook): Promise<string[]> {
  const { stdout } = await real.vpn.ocserv.occtl('-j', 'show', 'users');
  return (JSON.parse(stdout) as { ID: number }[]).map(({ ID }) => String(ID));
}

/** The kernel's counts of a tunnel at the server's end. */
export async function kernelCounts(real: RealHook, device: string): Promise<Omit<Stats, 'durationSeconds'>> {
  const names = ['rx_bytes', 'tx_bytes', 'rx_packets', 'tx_packets'];
  const files = names.map((name) => `/sys/class/net/${device}/statistics/${name}`);
  const text = await must(inside(real.vpn.network.server, ['cat', ...files]));
  const [bytesReceived = '', bytesSent = '', packetsReceived = '', packetsSent = ''] = text.split('\n');
  return { bytesReceived, bytesSent, packetsReceived, packetsSent };
}

/** How many drains have delivered so far, commands that deliver included. */
export function drains(real: RealHook): number {
  return real.query<{ term: number }>('SELECT term FROM drain')[0]?.term ?? 0;
}
