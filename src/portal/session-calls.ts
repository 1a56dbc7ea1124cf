import { status } from '@grpc/grpc-js';
import type { SessionEvent, Stats } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import type { Failure, PortalCall } from '../policy/types.ts';
import { channelCredentials } from './credentials.ts';
import { diagnose } from './diagnose.ts';
import { AuthServiceService } from './gen/vpn/v1/auth.ts';
import {
  DisconnectReason,
  EventServiceService,
  type ReportConnectResponse,
  type ReportDisconnectResponse,
  type ReportSessionUpdateResponse,
  type SessionStats,
  SessionStatus,
} from './gen/vpn/v1/events.ts';
import { type Attempt, Line, type Method, type OnMet } from './line.ts';
import { metadataOf } from './metadata.ts';
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

/** The calls about sessions, over one connection that is made with the first and kept. */
export interface SessionCalls {
  /** Never throws for anything that the portal or the network does. */
  report(id: string, event: SessionEvent): Promise<Reported>;
  validate(session: Validation): Promise<Validated>;
  close(): void;
}

/**
 * @param onMet is told what each connection tells of the portal.
 * @throws nothing: credentials that cannot be used are a failure of each call.
 */
export function sessionCalls(config: Config, onMet?: OnMet): SessionCalls {
  const { portal, agent_id } = config;
  const credentials = channelCredentials(portal.tls);
  if ('counts' in credentials) return unable(credentials);
  const line = new Line({
    credentials,
    serverName: portal.tls.server_name,
    addresses: portal.address,
    onMet,
  });
  const failed = async (attempt: Exclude<Attempt<never>, { response: never }>) => ({
    failure: await diagnose(attempt, config),
    reached: attempt.everReached,
  });
  return {
    async report(id, event) {
      const metadata = metadataOf(agent_id, event.vhost, id);
      const { attempt, call } = await send(line, event, metadata, portal.timeout);
      if ('response' in attempt) return { ...fromResponse(attempt.response), call };
      if (attempt.code === status.INVALID_ARGUMENT) {
        return { kind: 'invalid', detail: clip(attempt.details), call };
      }
      const { failure, reached } = await failed(attempt);
      if (attempt.code === status.UNIMPLEMENTED) return { kind: 'unknown call', failure, call };
      return { kind: 'failed', failure, reached, call };
    },
    async validate({ username, sessionId, clientIp, vhost }) {
      const request = { username, sessionId, clientIp, requestTime: new Date() };
      const { attempt, call } = await timed(AuthServiceService.validateSession, (method) =>
        line.call(method, request, metadataOf(agent_id, vhost), portal.timeout, { retries: 0 }),
      );
      if (!('response' in attempt)) return { ...(await failed(attempt)), call };
      const { valid, invalidReason, forceDisconnect } = attempt.response;
      return { valid, reason: clip(invalidReason), mustEnd: forceDisconnect, call };
    },
    close: () => line.close(),
  };
}

/** Our own files are at fault: no call can be made. */
function unable(failure: Failure): SessionCalls {
  return {
    report: async () => ({ kind: 'failed', failure, reached: false }),
    validate: async () => ({ failure, reached: false }),
    close: () => {},
  };
}

type Response = ReportConnectResponse | ReportDisconnectResponse | ReportSessionUpdateResponse;

function send(
  line: Line,
  event: SessionEvent,
  metadata: ReturnType<typeof metadataOf>,
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
      return once(EventServiceService.reportConnect, request);
    }
    case 'disconnect': {
      const more = {
        reason: DisconnectReason[`DISCONNECT_REASON_${event.reason}`],
        stats: statsOf(event.stats),
        metadata: { ...event.metadata },
      };
      const request = { username, sessionId, disconnectedAt: at, ...more };
      return once(EventServiceService.reportDisconnect, request);
    }
    case 'update': {
      const more = {
        currentStats: statsOf(event.stats),
        status: SessionStatus[`SESSION_STATUS_${event.status}`],
      };
      const request = { username, sessionId, updateTime: at, ...more };
      return once(EventServiceService.reportSessionUpdate, request);
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
