/** The portal's answers: policy and request in, response out. Pure. */
import type { BlockList } from 'node:net';
import { isIP } from 'node:net';
import {
  type CheckPolicyRequest,
  CheckPolicyResponse,
  type ValidateSessionRequest,
  ValidateSessionResponse,
} from '../../src/portal/gen/vpn/v1/auth.ts';
import type { Policy, RpcName, RpcOrders } from './policy.ts';

type Rules = NonNullable<Policy['default']>;

interface Asked {
  username: string;
  groupname: string;
}

/** The layers that speak of a user, the most special first. */
function layers(policy: Policy, asked: Asked): Rules[] {
  const user = policy.users?.get(asked.username);
  if (user === undefined) return [policy.default ?? {}];
  const group = policy.groups?.get(asked.groupname === '' ? (user.groups?.[0] ?? '') : asked.groupname);
  return group === undefined ? [user] : [user, group];
}

/** For each key the value of the first layer that has it. */
function firstOf<Layer extends object>(stack: readonly Layer[]): Layer {
  return Object.assign({}, ...stack.toReversed());
}

/** Delay, error and the rest for one rpc: what is said of the rpc goes before what is said of all, layer by layer. */
export function ordersFor(policy: Policy, rpc: RpcName, asked: Asked): RpcOrders {
  const stack = layers(policy, asked).flatMap((layer) => [layer.rpc?.[rpc] ?? {}, faultsOf(layer)]);
  return firstOf([...stack, policy.rpc?.[rpc] ?? {}, faultsOf(policy)]);
}

function faultsOf(layer: Rules | Policy): RpcOrders {
  const orders: RpcOrders = {};
  if (layer.delay !== undefined) orders.delay = layer.delay;
  if (layer.error !== undefined) orders.error = layer.error;
  if (layer.error_message !== undefined) orders.error_message = layer.error_message;
  if ('should_disconnect' in layer && layer.should_disconnect !== undefined) {
    orders.should_disconnect = layer.should_disconnect;
  }
  return orders;
}

function contains(networks: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** Why this user may not come in from there, or undefined. */
function denial(policy: Policy, asked: Asked & { clientIp: string }, rules: Rules): string | undefined {
  const user = policy.users?.get(asked.username);
  if (!(rules.allowed ?? user !== undefined)) {
    return rules.reason ?? (user === undefined ? 'unknown user' : 'not allowed');
  }
  if (asked.groupname !== '' && user?.groups !== undefined && !user.groups.includes(asked.groupname)) {
    return `not a member of group ${asked.groupname}`;
  }
  if (rules.networks !== undefined && !contains(rules.networks, asked.clientIp)) {
    return rules.reason ?? `not from ${asked.clientIp}`;
  }
  return undefined;
}

export function checkPolicy(policy: Policy, request: CheckPolicyRequest): CheckPolicyResponse {
  const rules = firstOf(layers(policy, request));
  const reason = denial(policy, request, rules);
  return CheckPolicyResponse.create({
    allowed: reason === undefined,
    denyReason: reason ?? '',
    routes: reason === undefined ? (rules.routes ?? []) : [],
    dnsServers: reason === undefined ? (rules.dns_servers ?? []) : [],
    shouldDisconnect: ordersFor(policy, 'CheckPolicy', request).should_disconnect ?? false,
    metadata: rules.metadata ?? {},
  });
}

/** A session is valid as long as its user would be let in, unless the policy says otherwise. */
export function validateSession(policy: Policy, request: ValidateSessionRequest): ValidateSessionResponse {
  const asked = { ...request, groupname: '' };
  const rules = firstOf(layers(policy, asked));
  const reason = denial(policy, asked, rules);
  const valid = rules.valid ?? reason === undefined;
  return ValidateSessionResponse.create({
    valid,
    invalidReason: valid ? '' : (rules.invalid_reason ?? reason ?? 'no longer valid'),
    forceDisconnect:
      rules.force_disconnect ?? ordersFor(policy, 'ValidateSession', asked).should_disconnect ?? false,
  });
}
