import { syncSessions } from '../sessions/sync.ts';
import { timestamp } from '../state/contact.ts';
import { listSessions, type SessionRecord } from '../state/session-records.ts';
import {
  configOf,
  type GlobalOptions,
  LONG_PATIENCE_MS,
  logFor,
  mustBeRecorded,
  stateOf,
} from './context.ts';
import { paint, print, printJson, roughly, table, visible } from './output.ts';

export interface ListOptions extends GlobalOptions {
  readonly all?: boolean;
  readonly user?: string;
  readonly limit: number;
}

/** The sessions on record, the latest first: the live ones, or all that are still kept. */
export async function list(options: ListOptions): Promise<number> {
  const state = await stateOf(await configOf(options));
  const { all = false, user, limit } = options;
  const { sessions, now } = await state.read((tx) => ({
    sessions: listSessions(tx, { all, limit, username: user }),
    now: tx.now.wall,
  }));
  if (options.json) await printJson(sessions.map((session) => sessionJson(session, now)));
  else if (sessions.length === 0) await print(all ? 'no sessions on record' : 'no live sessions');
  else {
    const rows = sessions.map((session) => [
      visible(session.sessionId),
      visible(session.username),
      visible(session.groupname) || '-',
      visible(session.clientIp) || '-',
      visible(session.vpnIp) || '-',
      session.endedAt === null ? 'live' : `ended (${session.endReason?.toLowerCase() ?? 'unspecified'})`,
      roughly(lasted(session, now)),
      session.bytesIn ?? '-',
      session.bytesOut ?? '-',
    ]);
    const header = [
      'SESSION',
      'USER',
      'GROUP',
      'CLIENT',
      'VPN IP',
      'STATE',
      'LASTED',
      'BYTES IN',
      'BYTES OUT',
    ];
    await print(table(header, rows));
  }
  return 0;
}

function lasted({ connectedAt, endedAt, durationSeconds }: SessionRecord, now: number): number {
  return durationSeconds === null ? ((endedAt ?? now) - connectedAt) / 1_000 : Number(durationSeconds);
}

/** Byte counts are decimal text: a JSON number would not hold them all. */
function sessionJson(session: SessionRecord, now: number): Record<string, unknown> {
  return {
    session_id: session.sessionId,
    state: session.endedAt === null ? 'live' : 'ended',
    username: session.username,
    groupname: session.groupname,
    vhost: session.vhost,
    ocserv_id: session.ocservId,
    client_ip: session.clientIp,
    vpn_ip: session.vpnIp,
    device: session.device,
    source: session.source,
    connected_at: timestamp(session.connectedAt),
    seen_at: timestamp(session.seenAt),
    ended_at: timestamp(session.endedAt),
    end_reason: session.endedAt === null ? null : (session.endReason ?? 'UNSPECIFIED'),
    duration_seconds: Math.max(0, Math.floor(lasted(session, now))),
    bytes_in: session.bytesIn,
    bytes_out: session.bytesOut,
    routes: session.routes,
    dns_servers: session.dnsServers,
    updated_routes: session.updatedRoutes,
    metadata: session.metadata,
  };
}

/** Compares with ocserv, reports each live session, and ends those that the portal wants ended. Exit 1 when something failed. */
export async function sync(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config, { create: true, patience: LONG_PATIENCE_MS });
  const report = await syncSessions({ config, state, log: logFor(config) });
  mustBeRecorded(state);
  const { live, takenUp, closed, ordered, invalid, problems } = report;
  if (options.json) {
    await printJson({ live, taken_up: takenUp, closed, ended_by_order: ordered, invalid, problems });
  } else {
    await print(
      `${live} live, ${takenUp} taken up, ${closed} closed, ${invalid} no longer valid, ${ordered} order(s) carried out`,
    );
    for (const problem of problems) await print(`${paint('red', 'failed')}: ${visible(problem)}`);
  }
  return problems.length === 0 ? 0 : 1;
}
