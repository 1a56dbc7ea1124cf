import { isIpAddress, withoutScope } from '../config/ip.ts';
import { elapsed } from '../hook/elapsed.ts';
import { whyBadName } from '../hook/environment.ts';
import { byDeadline, statePatience } from '../policy/deadline.ts';
import { decide, decideInvalid } from '../policy/decide.ts';
import { decisionJson } from '../policy/decision-json.ts';
import type { Decision, Failure, Request } from '../policy/types.ts';
import { askPortal, waitLimits } from '../portal/ask.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { portalIdentity } from '../portal/identity.ts';
import { openPortal } from '../portal/load.ts';
import { milliseconds } from '../state/clock.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { configOf, type GlobalOptions, stateOf } from './context.ts';
import { paint, print, printJson, visible } from './output.ts';

export interface AuthOptions extends GlobalOptions {
  readonly user: string;
  readonly group: string;
  readonly clientIp: string;
  readonly vhost?: string;
  readonly deviceIp: string;
  readonly cache: boolean;
}

/** The decision that a connect would get, by the same path, without a session. Exit 0 allowed, 1 denied. */
export async function auth(options: AuthOptions): Promise<number> {
  const config = await configOf(options);
  const request: Request = {
    username: options.user,
    groupname: options.group,
    clientIp: withoutScope(options.clientIp),
    vhost: options.vhost ?? 'default',
    vhostNamed: options.vhost !== undefined,
    vpnIp: options.deviceIp,
    device: '',
    sessionId: '',
  };
  const lost = (error: StateUnusable): void =>
    complain(`the state cannot be used: ${error.message}`, error.cure);
  const state = await usableState(config, lost);
  const opened: PortalCalls[] = [];
  const connect = async (): Promise<PortalCalls> => {
    const calls = await openPortal(config);
    opened.push(calls);
    return calls;
  };
  const means = {
    config,
    state,
    bypassCache: !options.cache,
    record: () => {},
    onStateLost: lost,
    waitLimits: waitLimits(config, elapsed(), milliseconds()),
    mayLead: 'no' as const,
    expectsSiblings: false,
    portal: () => portalIdentity(config),
    askPortal: (atMost: number) => askPortal(config, request, elapsed(), atMost, connect),
  };
  const invalid = whyInvalid(request);
  const asked: { failure: Failure | null } = { failure: null };
  const decision = await byDeadline(request, invalid, config, elapsed(), async (onProvisional) => {
    if (invalid !== null) return decideInvalid(invalid, means);
    const decided = await decide(request, { ...means, onProvisional });
    asked.failure = decided.failure;
    return decided.decision;
  });
  for (const calls of opened) calls.close();
  const { failure } = asked;
  if (state !== null && state.unrecorded !== null)
    complain(`the state cannot be written: ${state.unrecorded}`, '');
  if (failure !== null)
    complain(`the portal could not be asked: ${failure.code}: ${failure.detail}`, failure.cure);
  if (options.json) await printJson(decisionJson(decision, request, config, elapsed()));
  else await print(forPeople(decision, request, failure));
  return decision.allowed ? 0 : 1;
}

async function usableState(
  config: Parameters<typeof stateOf>[0],
  lost: (error: StateUnusable) => void,
): Promise<State | null> {
  try {
    return await stateOf(config, { create: true, patience: statePatience(config) });
  } catch (error) {
    if (!(error instanceof StateUnusable)) throw error;
    lost(error);
    return null;
  }
}

function whyInvalid({ username, groupname, clientIp }: Request): string | null {
  if (username === '') return '--user is empty';
  if (clientIp !== '' && !isIpAddress(clientIp)) return `--client-ip ${clientIp} is not an IP address`;
  return whyBadName('--user', username) ?? whyBadName('--group', groupname);
}

function forPeople(decision: Decision, { username, clientIp }: Request, failure: Failure | null): string {
  const { source, reason, cache, breaker, routes, dnsServers } = decision;
  const verdict = decision.allowed ? paint('green', 'allowed') : paint('red', 'denied');
  const from = clientIp === '' ? '' : ` from ${clientIp}`;
  const lines = [
    `${verdict}: ${visible(username)}${from}, by ${source}${reason === '' ? '' : `: ${visible(reason)}`}`,
  ];
  const age = cache.ageSeconds === null ? '' : `, ${Math.round(cache.ageSeconds)} s old`;
  lines.push(
    paint(
      'dim',
      `cache ${cache.state}${age}; breaker ${breaker}${failure === null ? '' : `; ${failure.code}`}`,
    ),
  );
  if (routes.length > 0) lines.push(`routes: ${visible(routes.join(', '))}`);
  if (dnsServers.length > 0) lines.push(`dns servers: ${visible(dnsServers.join(', '))}`);
  return lines.join('\n');
}

function complain(what: string, cure: string): void {
  process.stderr.write(`ocagent-hook: ${visible(what)}${cure === '' ? '' : `; ${cure}`}\n`);
}
