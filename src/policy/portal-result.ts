import { fromJson, isTexts } from '../state/json.ts';
import type { Answer, Failure, PortalCall, PortalResult, Request } from './types.ts';

/**
 * What a leader has written for a sibling.
 * @throws {StateUnusable} when it is not what a leader writes.
 */
export function readResult(text: string): PortalResult {
  return fromJson(text, isResult);
}

/** @throws {StateUnusable} when it is no request. */
export function readRequest(text: string): Request {
  return fromJson(text, isRequest);
}

type Unknown<T> = { readonly [K in keyof T]?: unknown };

function isResult(value: unknown): value is PortalResult {
  if (!isObject<{ answer: Answer; failure: Failure; call: PortalCall }>(value)) return false;
  const { answer, failure, call } = value;
  return (
    (call === undefined || isCall(call)) &&
    (answer === undefined ? isFailure(failure) : failure === undefined && isAnswer(answer))
  );
}

function isAnswer(value: unknown): value is Answer {
  if (!isObject<Answer>(value)) return false;
  const { allowed, reason, routes, dnsServers, shouldDisconnect, cacheTtl, storable } = value;
  const flags = [allowed, shouldDisconnect, storable].every((flag) => typeof flag === 'boolean');
  const ttl = typeof cacheTtl === 'number' || cacheTtl === 'none' || cacheTtl === 'not stored';
  return flags && ttl && typeof reason === 'string' && isTexts(routes) && isTexts(dnsServers);
}

function isFailure(value: unknown): value is Failure {
  if (!isObject<Failure>(value)) return false;
  const { code, detail, cure, counts, misconfigured } = value;
  return (
    isTexts([code, detail, cure]) &&
    ['unreached', 'provokable', 'no'].includes(counts as string) &&
    typeof misconfigured === 'boolean'
  );
}

function isCall(value: unknown): value is PortalCall {
  if (!isObject<PortalCall>(value)) return false;
  return isTexts([value.rpc, value.code]) && typeof value.seconds === 'number';
}

function isRequest(value: unknown): value is Request {
  if (!isObject<Request>(value)) return false;
  const { vhost, vhostNamed, username, groupname, clientIp, vpnIp, device, sessionId } = value;
  return (
    isTexts([vhost, username, groupname, clientIp, vpnIp, device, sessionId]) &&
    typeof vhostNamed === 'boolean'
  );
}

function isObject<T>(value: unknown): value is Unknown<T> {
  return typeof value === 'object' && value !== null;
}
