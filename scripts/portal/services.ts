/** The gRPC services: each call is recorded, waits as it was told, and is answered by the policy it found on arrival. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type handleUnaryCall, status } from '@grpc/grpc-js';
import type { AuthServiceDefinition } from '../../src/portal/gen/vpn/v1/auth.ts';
import {
  type EventServiceDefinition,
  ReportConnectResponse,
  ReportDisconnectResponse,
  ReportSessionUpdateResponse,
} from '../../src/portal/gen/vpn/v1/events.ts';
import type { Answer, CallOf, Messages, PortalCall } from './calls.ts';
import { checkPolicy, ordersFor, validateSession } from './decide.ts';
import type { Policy, RpcName, RpcOrders } from './policy.ts';
import type { HandlersOf } from './service-of.ts';

export interface Desk {
  policy(): Policy;
  arrived(call: PortalCall): void;
  /** A `delay` of the policy, in milliseconds, holds this call back from now on. */
  waits(call: PortalCall, delay: number): void;
  answered<Rpc extends RpcName>(call: CallOf<Rpc>, answer: Answer<Messages[Rpc]['response']>): void;
  /** Resolves when nobody holds calls of this rpc back. */
  released(rpc: RpcName): Promise<void>;
}

type Respond<Rpc extends RpcName> = (
  policy: Policy,
  request: Messages[Rpc]['request'],
  orders: RpcOrders,
) => Messages[Rpc]['response'];

function handler<Rpc extends RpcName>(
  desk: Desk,
  rpc: Rpc,
  respond: Respond<Rpc>,
): handleUnaryCall<Messages[Rpc]['request'], Messages[Rpc]['response']> {
  return (incoming, callback) => {
    const policy = desk.policy();
    const { request } = incoming;
    const header = (name: string) => incoming.metadata.get(name)[0]?.toString();
    const call: CallOf<Rpc> = {
      rpc,
      request,
      agentId: header('x-agent-id'),
      eventId: header('x-event-id'),
      vhost: header('x-ocserv-vhost'),
      peer: incoming.getPeer(),
      arrivedAt: new Date(),
      answer: undefined,
    };
    const orders = ordersFor(policy, rpc, {
      username: request.username,
      groupname: 'groupname' in request ? request.groupname : '',
    });
    const gone = new AbortController();
    incoming.once('cancelled', () => gone.abort());
    // Safe: a call of one rpc is one of the union's members.
    desk.arrived(call as PortalCall);

    const answer = async (): Promise<Answer<Messages[Rpc]['response']>> => {
      await Promise.race([desk.released(rpc), gone.signal.aborted || once(gone.signal, 'abort')]);
      if (orders.delay !== undefined) {
        desk.waits(call as PortalCall, orders.delay);
        await sleep(orders.delay, undefined, { signal: gone.signal }).catch(() => {});
      }
      if (gone.signal.aborted)
        return { status: 'CANCELLED', details: 'the client is gone', response: undefined };
      if (orders.error === undefined || orders.error === status.OK) {
        return { status: 'OK', details: '', response: respond(policy, request, orders) };
      }
      const name = status[orders.error];
      return {
        status: name,
        details: orders.error_message ?? `the policy orders ${name}`,
        response: undefined,
      };
    };
    answer().then((given) => {
      desk.answered(call, given);
      if (given.response !== undefined) callback(null, given.response);
      else if (!gone.signal.aborted)
        callback({ code: orders.error ?? status.CANCELLED, details: given.details });
    }, callback);
  };
}

export function authService(desk: Desk): HandlersOf<typeof AuthServiceDefinition> {
  return {
    checkPolicy: handler(desk, 'CheckPolicy', checkPolicy),
    validateSession: handler(desk, 'ValidateSession', validateSession),
  };
}

export function eventService(desk: Desk): HandlersOf<typeof EventServiceDefinition> {
  return {
    reportConnect: handler(desk, 'ReportConnect', (_policy, _request, orders) =>
      ReportConnectResponse.create({
        success: orders.success ?? true,
        message: orders.message ?? '',
        updatedRoutes: orders.updated_routes ?? [],
      }),
    ),
    reportDisconnect: handler(desk, 'ReportDisconnect', (_policy, _request, orders) =>
      ReportDisconnectResponse.create({ success: orders.success ?? true, message: orders.message ?? '' }),
    ),
    reportSessionUpdate: handler(desk, 'ReportSessionUpdate', (_policy, _request, orders) =>
      ReportSessionUpdateResponse.create({
        success: orders.success ?? true,
        shouldDisconnect: orders.should_disconnect ?? false,
        disconnectReason: orders.disconnect_reason ?? '',
      }),
    ),
  };
}
