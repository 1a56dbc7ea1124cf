import type { SessionEvent, Stats } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import type { Failure, PortalCall } from '../policy/types.ts';
import { diagnose } from './diagnose.ts';
import {
  DisconnectReason,
  type ReportConnectResponse,
  type ReportDisconnectResponse,
  type ReportSessionUpdateResponse,
  type SessionStats,
  SessionStatus,
} from './gen/vpn/v1/events.ts';
import { Status } from './grpc-status.ts';
import type { Attempt, Line } from './line.ts';
import { metadataOf } from './metadata.ts';
import { METHODS, type Method } from './methods.ts';
import type { Metadata } from './request-headers.ts';
import { clip } from './status.ts';
import { timed } from './timed.ts';

/** What the portal made of an event. */
export type Reported = Made &
  (
    | ({ readonly kind: 'taken' /** Of a connect. */; readonly updatedRoutes: readonly string[] } & Verdict)
    /** It answered, and did not take it: it is tried again as after an error. */
    | ({ readonly kind: 'refused'; readonly detail: string } & Verdict)
    /** It will never take it as it is. */
    | { readonly kind: 'invalid'; readonly detail: string }
    /** It does not know this call: it is too old, or not the portal. */
    | { readonly kind: 'unknown call'; readonly failure: Failure }
    | { readonly kind: 'failed'; readonly failure: Failure; readonly reached: boolean }
  );

interface Made {
  /** Absent where no call was made. */
  readonly call?: PortalCall;
}

interface Verdict {
  /** Of an update: the session must end, and why in the portal's words; null when it may go on. */
  readonly mustEnd: string | null;
}

/** What the portal says of a live session. */
export type Validated = Made &
  (
    | { readonly valid: boolean; readonly reason: string; readonly mustEnd: boolean }
    | { readonly failure: Failure; readonly reached: boolean }
  );

export interface Validation {
  readonly username: string;
  readonly sessionId: string;
  readonly clientIp: string;
  readonly vhost: string | null;
}

/** Tells the portal of an event. */
export async function report(line: Line, config: Config, id: string, event: SessionEvent): Promise<Reported> {
  const metadata = metadataOf(config.agent_id, event.vhost, id);
  const { attempt, call } = await send(line, event, metadata, config.portal.timeout);
  if ('response' in attempt) return { ...fromResponse(attempt.response), call };
  if (attempt.code === Status.INVALID_ARGUMENT) {
    return { kind: 'invalid', detail: clip(attempt.details), call };
  }
  const failure = await diagnose(attempt, config);
  if (attempt.code === Status.UNIMPLEMENTED) return { kind: 'unknown call', failure, call };
  return { kind: 'failed', failure, reached: attempt.everReached, call };
}

/** Asks the portal whether a session that is up may go on. */
export async function validate(line: Line, config: Config, session: Validation): Promise<Validated> {
  const { username, sessionId, clientIp, vhost } = session;
  const request = { username, sessionId, clientIp, requestTime: new Date() };
  const { attempt, call } = await timed(METHODS.validateSession, (method) =>
    line.call(method, request, metadataOf(config.agent_id, vhost), config.portal.timeout, { retries: 0 }),
  );
  if (!('response' in attempt)) {
    return { failure: await diagnose(attempt, config), reached: attempt.everReached, call };
  }
  const { valid, invalidReason, forceDisconnect } = attempt.response;
  return { valid, reason: clip(invalidReason), mustEnd: forceDisconnect, call };
}

type Response = ReportConnectResponse | ReportDisconnectResponse | ReportSessionUpdateResponse;

function send(
  line: Line,
  event: SessionEvent,
  metadata: Metadata,
  budget: number,
): Promise<{ attempt: Attempt<Response>; call: PortalCall }> {
  const { username, sessionId } = event;
  const at = new Date(event.at);
  // No retry of its own: the outbox retries.
  const once = <Q, R>(method: Method<Q, R>, request: Q): Promise<{ attempt: Attempt<R>; call: PortalCall }> =>
    timed(method, () => line.call(method, request, metadata, budget, { retries: 0 }));
  switch (event.type) {
    case 'connect': {
      const { clientIp, vpnIp, device, groupname } = event;
      const more = { clientIp, vpnIp, device, groupname, metadata: { ...event.metadata } };
      const request = { username, sessionId, connectedAt: at, ...more };
      return once(METHODS.reportConnect, request);
    }
    case 'disconnect': {
      const more = {
        reason: DisconnectReason[`DISCONNECT_REASON_${event.reason}`],
        stats: statsOf(event.stats),
        metadata: { ...event.metadata },
      };
      const request = { username, sessionId, disconnectedAt: at, ...more };
      return once(METHODS.reportDisconnect, request);
    }
    case 'update': {
      const more = {
        currentStats: statsOf(event.stats),
        status: SessionStatus[`SESSION_STATUS_${event.status}`],
      };
      const request = { username, sessionId, updateTime: at, ...more };
      return once(METHODS.reportSessionUpdate, request);
    }
  }
}

function statsOf(stats: Stats): SessionStats {
  return {
    durationSeconds: BigInt(stats.durationSeconds),
    bytesReceived: BigInt(stats.bytesReceived),
    bytesSent: BigInt(stats.bytesSent),
    packetsReceived: BigInt(stats.packetsReceived),
    packetsSent: BigInt(stats.packetsSent),
  };
}

function fromResponse(response: Response): Reported {
  const mustEnd =
    'shouldDisconnect' in response && response.shouldDisconnect ? clip(response.disconnectReason) : null;
  if (response.success) {
    return {
      kind: 'taken',
      updatedRoutes: 'updatedRoutes' in response ? response.updatedRoutes : [],
      mustEnd,
    };
  }
  const message = 'message' in response ? response.message : '';
  return {
    kind: 'refused',
    detail: clip(message || 'the portal did not take it, and did not say why'),
    mustEnd,
  };
}
