/** What the portal is told of a session (contract/portal.md). All of it is kept as it was when it happened. */
export type SessionEvent = ConnectEvent | DisconnectEvent | UpdateEvent;

export type EventType = SessionEvent['type'];

interface OfSession {
  readonly sessionId: string;
  readonly username: string;
  /** Null where ocserv named none. */
  readonly vhost: string | null;
  /** Wall milliseconds. */
  readonly at: number;
}

export interface ConnectEvent extends OfSession {
  readonly type: 'connect';
  readonly groupname: string;
  readonly clientIp: string;
  readonly vpnIp: string;
  readonly device: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface DisconnectEvent extends OfSession {
  readonly type: 'disconnect';
  readonly reason: EndReason;
  readonly stats: Stats;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface UpdateEvent extends OfSession {
  readonly type: 'update';
  readonly stats: Stats;
  /** Idle: no traffic since the update before. */
  readonly status: 'ACTIVE' | 'IDLE';
}

/** Totals since the session began, seen from the server. Decimal text: 64 bits, exact. */
export interface Stats {
  readonly durationSeconds: string;
  readonly bytesReceived: string;
  readonly bytesSent: string;
  readonly packetsReceived: string;
  readonly packetsSent: string;
}

/**
 * Why a session ended, in the portal's names without their prefix. ocserv does not tell its scripts, so only what we know
 * ourselves is said; a user's own wish is never guessed.
 */
export type EndReason =
  | 'UNSPECIFIED'
  | 'ADMIN_FORCED'
  | 'IDLE_TIMEOUT'
  | 'SESSION_LIMIT'
  | 'CERTIFICATE_REVOKED'
  | 'POLICY_VIOLATION'
  | 'SERVER_SHUTDOWN'
  | 'CONNECTION_ERROR';

const NAMED: readonly EndReason[] = [
  'ADMIN_FORCED',
  'IDLE_TIMEOUT',
  'SESSION_LIMIT',
  'CERTIFICATE_REVOKED',
  'POLICY_VIOLATION',
];

/** What the portal's words for ending a session come to: a reason that it names, else one that they speak of. */
export function forcedReason(words: string): EndReason {
  const plain = words.trim().replace(/[\s_-]+/g, ' ');
  const name = plain
    .toUpperCase()
    .replace(/^DISCONNECT REASON /, '')
    .replaceAll(' ', '_');
  const named = NAMED.find((reason) => reason === name);
  if (named !== undefined) return named;
  if (/\brevo(?:ked?|cation)\b/i.test(plain)) return 'CERTIFICATE_REVOKED';
  if (/\bpolic(?:y|ies)\b|\bviolat/i.test(plain)) return 'POLICY_VIOLATION';
  return 'ADMIN_FORCED';
}
