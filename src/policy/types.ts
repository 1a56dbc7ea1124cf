/** Who asks to connect. Every field is foreign data: a client can choose most of it. */
export interface Request {
  readonly vhost: string;
  /** ocserv named the vhost itself; otherwise it is only our default, which the portal need not hear of. */
  readonly vhostNamed: boolean;
  readonly username: string;
  readonly groupname: string;
  /** Where the client comes from; empty for `auth` without an address. */
  readonly clientIp: string;
  readonly vpnIp: string;
  readonly device: string;
  /** As the portal knows the session; empty for `auth`. */
  readonly sessionId: string;
}

export type Source =
  | 'portal'
  | 'cache'
  | 'stale'
  | 'fail-open'
  | 'fail-close'
  | 'emergency'
  | 'invalid'
  | 'rate-limit';

export type CacheUse = 'hit' | 'stale' | 'miss' | 'bypass' | 'unavailable';

export type FailMode = 'open' | 'close' | 'stale';

export interface Decision {
  readonly allowed: boolean;
  readonly source: Source;
  /** Why not, or why in spite of the portal's absence; empty for a plain allowance. */
  readonly reason: string;
  readonly cache: { readonly state: CacheUse; readonly ageSeconds: number | null };
  /** The breaker when admission was asked for; `unavailable` when the state could not be read. */
  readonly breaker: 'closed' | 'open' | 'half-open' | 'unavailable';
  readonly portalError: string | null;
  readonly routes: readonly string[];
  readonly dnsServers: readonly string[];
  /** The portal has just said that the user's other live sessions must go, too. */
  readonly shouldDisconnect: boolean;
}

/** What the portal said about one request (contract/portal.md, CheckPolicyResponse). */
export interface Answer {
  readonly allowed: boolean;
  readonly reason: string;
  readonly routes: readonly string[];
  readonly dnsServers: readonly string[];
  /** The user's other sessions must go too; always a denial. */
  readonly shouldDisconnect: boolean;
  /** `none`: no bound of the portal's; a number: milliseconds; `not stored`: `0s` or malformed. */
  readonly cacheTtl: number | 'none' | 'not stored';
  /** INVALID_ARGUMENT is an answer about this request, but never one that is kept. */
  readonly storable: boolean;
}

/** A call that brought no answer. */
export interface Failure {
  /** The gRPC status' name (`UNAVAILABLE`), or `LOCAL` for a fault on this machine. */
  readonly code: string;
  readonly detail: string;
  /** What an administrator does about it; empty when waiting is all there is. */
  readonly cure: string;
  /** What it says to the breaker: `unreached` could not have been provoked by the request, `provokable` could. */
  readonly counts: 'unreached' | 'provokable' | 'no';
  /** A misconfiguration, which no amount of waiting mends: logged as an error. */
  readonly misconfigured: boolean;
}

/** A call that was made, connecting and retries included, as the metrics count it. */
export interface PortalCall {
  /** As the contract names it: `CheckPolicy`. */
  readonly rpc: string;
  /** The gRPC status' name; `OK`. */
  readonly code: string;
  readonly seconds: number;
}

export type PortalResult = ({ readonly answer: Answer } | { readonly failure: Failure }) & {
  /** Absent where none was made. */
  readonly call?: PortalCall;
};
