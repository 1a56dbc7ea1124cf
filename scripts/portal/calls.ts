/** The calls that the portal has seen, in order of arrival, and how many of them were in flight at once. */
import type {
  CheckPolicyRequest,
  CheckPolicyResponse,
  ValidateSessionRequest,
  ValidateSessionResponse,
} from '../../src/portal/gen/vpn/v1/auth.ts';
import type {
  ReportConnectRequest,
  ReportConnectResponse,
  ReportDisconnectRequest,
  ReportDisconnectResponse,
  ReportSessionUpdateRequest,
  ReportSessionUpdateResponse,
} from '../../src/portal/gen/vpn/v1/events.ts';
import type { RpcName } from './policy.ts';

export interface Messages {
  CheckPolicy: { request: CheckPolicyRequest; response: CheckPolicyResponse };
  ValidateSession: { request: ValidateSessionRequest; response: ValidateSessionResponse };
  ReportConnect: { request: ReportConnectRequest; response: ReportConnectResponse };
  ReportDisconnect: { request: ReportDisconnectRequest; response: ReportDisconnectResponse };
  ReportSessionUpdate: { request: ReportSessionUpdateRequest; response: ReportSessionUpdateResponse };
}

export interface Answer<Response> {
  /** A gRPC status by name. CANCELLED: the client went before there was an answer, or the portal went down. */
  status: string;
  /** What a status other than OK says of itself. */
  details: string;
  /** With OK only. */
  response: Response | undefined;
}

export interface CallOf<Rpc extends RpcName> {
  rpc: Rpc;
  request: Messages[Rpc]['request'];
  /** gRPC metadata, undefined where the client sent none. */
  agentId: string | undefined;
  eventId: string | undefined;
  vhost: string | undefined;
  /** The client's end of the connection; equal for calls over one connection. */
  peer: string;
  arrivedAt: Date;
  /** Undefined while the call is in flight. */
  answer: Answer<Messages[Rpc]['response']> | undefined;
}

export type PortalCall = { [Rpc in RpcName]: CallOf<Rpc> }[RpcName];

export class Calls {
  all: PortalCall[] = [];
  readonly #inFlight = new Map<RpcName | 'all', number>();
  readonly #maxInFlight = new Map<RpcName | 'all', number>();

  arrive(call: PortalCall): void {
    this.all.push(call);
    for (const key of [call.rpc, 'all'] as const) {
      const count = this.inFlight(key) + 1;
      this.#inFlight.set(key, count);
      this.#maxInFlight.set(key, Math.max(count, this.maxInFlight(key)));
    }
  }

  settle<Rpc extends RpcName>(call: CallOf<Rpc>, answer: Answer<Messages[Rpc]['response']>): void {
    call.answer = answer;
    for (const key of [call.rpc, 'all'] as const) this.#inFlight.set(key, this.inFlight(key) - 1);
  }

  of<Rpc extends RpcName>(rpc: Rpc): CallOf<Rpc>[] {
    return this.all.filter(
      (call): call is Extract<PortalCall, { rpc: Rpc }> & CallOf<Rpc> => call.rpc === rpc,
    );
  }

  inFlight(rpc: RpcName | 'all'): number {
    return this.#inFlight.get(rpc) ?? 0;
  }

  maxInFlight(rpc: RpcName | 'all'): number {
    return this.#maxInFlight.get(rpc) ?? 0;
  }

  /** Forgets what was, for a test's next act. What is in flight stays counted. */
  forget(): void {
    this.all = this.all.filter((call) => call.answer === undefined);
    this.#maxInFlight.clear();
    for (const [key, count] of this.#inFlight) this.#maxInFlight.set(key, count);
  }
}

/** One line of JSON. 64-bit counters are written as strings: a JSON number would not hold them all. */
export function callLine(call: PortalCall): string {
  const { request, answer } = call;
  const line = {
    time: call.arrivedAt,
    took_ms: Date.now() - call.arrivedAt.getTime(),
    rpc: call.rpc,
    username: request.username,
    session_id: request.sessionId,
    client_ip: 'clientIp' in request ? request.clientIp : undefined,
    'x-agent-id': call.agentId,
    'x-event-id': call.eventId,
    'x-ocserv-vhost': call.vhost,
    peer: call.peer,
    answer,
    request,
  };
  return JSON.stringify(line, (_, value) => (typeof value === 'bigint' ? String(value) : value));
}
