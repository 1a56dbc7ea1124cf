import type { TunnelCounts } from '../accounting/final-counts.ts';
import { isIpAddress, withoutScope } from '../config/ip.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What ocserv says of the session, whatever the reason of the call. All of it is foreign data. */
export interface HookSession {
  readonly username: string;
  readonly groupname: string;
  readonly vhost: string;
  /** False where `vhost` is only our default, `default`. */
  readonly vhostNamed: boolean;
  /** ocserv's ID: digits, or empty. */
  readonly ocservId: string;
  readonly clientIp: string;
  readonly vpnIp: string;
  readonly device: string;
  /** The client's kind and names, and whatever was odd. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Exact counts as decimal text; null when ocserv named none, or none that can be. */
export interface HookStats {
  readonly bytesIn: string | null;
  readonly bytesOut: string | null;
  readonly durationSeconds: string | null;
  /** What the kernel had counted in the tunnel, where ocserv named no traffic (bin/ocagent-hook looks first of all). */
  readonly tunnel: TunnelCounts | null;
}

export type HookCall =
  | { readonly reason: 'connect'; readonly session: HookSession; readonly invalid: string | null }
  | { readonly reason: 'disconnect'; readonly session: HookSession; readonly stats: HookStats }
  | { readonly reason: 'host-update'; readonly session: HookSession }
  /** Not a call that can be served: why, for exit 2. */
  | { readonly reason: 'refused'; readonly why: string; readonly cure: string };

const REQUIRED = {
  connect: ['USERNAME', 'IP_REAL'],
  disconnect: ['USERNAME', 'ID'],
  'host-update': [],
} as const;

/** Bytes in a name past which ocserv itself refuses it (facts: 63). */
const LONGEST_NAME = 63;
const LONGEST_METADATA = 256;
const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MAX = 2n ** 63n - 1n;

/** ocserv's environment as a call (contract/cli.md, "Hook environment"). */
export function readCall(env: Environment): HookCall {
  const reason = env['REASON'] ?? '';
  if (reason !== 'connect' && reason !== 'disconnect' && reason !== 'host-update') {
    return {
      reason: 'refused',
      why: `unknown REASON ${JSON.stringify(reason)}`,
      cure: 'ocserv sets connect, disconnect or host-update; update ocagent-hook if yours sets another',
    };
  }
  const missing = REQUIRED[reason].filter((name) => env[name] === undefined);
  if (missing.length > 0) {
    return {
      reason: 'refused',
      why: `missing in the environment: ${missing.join(', ')}`,
      cure: `run as ocserv's ${reason === 'host-update' ? 'host-update' : reason}-script, which sets them`,
    };
  }
  switch (reason) {
    case 'connect': {
      const session = readSession(env, {});
      return { reason, session, invalid: whyInvalid(session) };
    }
    case 'disconnect': {
      const odd: Record<string, string> = {};
      const stats = {
        bytesIn: counter(env, 'STATS_BYTES_IN', UINT64_MAX, odd),
        bytesOut: counter(env, 'STATS_BYTES_OUT', UINT64_MAX, odd),
        durationSeconds: counter(env, 'STATS_DURATION', INT64_MAX, odd),
        tunnel: readTunnel(env['OCAGENT_TUNNEL']),
      };
      return { reason, session: readSession(env, odd), stats };
    }
    case 'host-update':
      return { reason, session: readSession(env, {}) };
  }
}

function readSession(env: Environment, odd: Record<string, string>): HookSession {
  const id = env['ID'] ?? '';
  if (id !== '' && !/^\d{1,20}$/.test(id)) odd['invalid_id'] = clip(id);
  const username = env['USERNAME'] ?? '';
  const groupname = env['GROUPNAME'] ?? '';
  if (whyBadName('', username) !== null) odd['invalid_username'] = clip(username);
  if (whyBadName('', groupname) !== null) odd['invalid_groupname'] = clip(groupname);
  return {
    username,
    groupname,
    vhost: env['VHOST'] || 'default',
    vhostNamed: Boolean(env['VHOST']),
    ocservId: /^\d{1,20}$/.test(id) ? id : '',
    clientIp: withoutScope(env['IP_REAL'] ?? ''),
    vpnIp: withoutScope(env['IP_REMOTE'] || env['IPV6_REMOTE'] || ''),
    device: env['DEVICE'] ?? '',
    metadata: { ...readMetadata(env), ...odd },
  };
}

function readMetadata(env: Environment): Record<string, string> {
  const named = {
    device_type: env['DEVICE_TYPE'],
    device_platform: env['DEVICE_PLATFORM'],
    user_agent: env['USER_AGENT'],
    hostname: env['REMOTE_HOSTNAME'] || env['HOSTNAME'],
    server_vpn_ip: env['IP_LOCAL'],
    server_ip: env['IP_REAL_LOCAL'],
    vpn_ipv6: env['IPV6_REMOTE'] && withoutScope(env['IPV6_REMOTE']),
  };
  const present = Object.entries(named).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(present.map(([key, value]) => [key, clip(value)]));
}

function whyInvalid(session: HookSession): string | null {
  if (session.username === '') return 'USERNAME is empty';
  return (
    whyBadName('USERNAME', session.username) ??
    whyBadName('GROUPNAME', session.groupname) ??
    (isIpAddress(session.clientIp)
      ? null
      : `IP_REAL ${JSON.stringify(clip(session.clientIp))} is not an IP address`)
  );
}

/** Why a name of a user or a group cannot be one; null when it can. Empty is left to the caller. */
export function whyBadName(what: string, name: string): string | null {
  // Bytes that are not UTF-8 show as U+FFFD in process.env, so nobody can tell two such names apart.
  if (name.includes('\ufffd')) return `${what} is not valid UTF-8`;
  const bytes = Buffer.byteLength(name);
  return bytes > LONGEST_NAME ? `${what} is ${bytes} bytes long, and at most ${LONGEST_NAME} can be` : null;
}

function counter(env: Environment, name: string, most: bigint, odd: Record<string, string>): string | null {
  const text = env[name];
  if (text === undefined || text === '') return null;
  if (/^\d{1,20}$/.test(text) && BigInt(text) <= most) return BigInt(text).toString();
  odd[`invalid_${name.toLowerCase()}`] = clip(text);
  return null;
}

/** Four counts; any of them may be missing when the tunnel was just going. */
function readTunnel(text: string | undefined): TunnelCounts | null {
  const match = /^ (\d{1,20}) (\d{1,20}) (\d{1,20}) (\d{1,20})$/.exec(text ?? '');
  if (match === null) return null;
  const [, bytesIn = '0', bytesOut = '0', packetsIn = '0', packetsOut = '0'] = match;
  return { bytesIn, bytesOut, packetsIn, packetsOut };
}

function clip(text: string): string {
  return text.length <= LONGEST_METADATA ? text : `${text.slice(0, LONGEST_METADATA)}…`;
}
