import type { Failure } from '../policy/types.ts';
import { Status, statusName } from './grpc-status.ts';

/** Statuses that speak of the portal's availability (contract/portal.md); any other does not count. */
const UNAVAILABILITY: ReadonlySet<number> = new Set([
  Status.UNAVAILABLE,
  Status.DEADLINE_EXCEEDED,
  Status.INTERNAL,
  Status.UNKNOWN,
  Status.RESOURCE_EXHAUSTED,
  Status.ABORTED,
  Status.DATA_LOSS,
  Status.CANCELLED,
]);

const MISCONFIGURED: ReadonlyMap<number, string> = new Map([
  [
    Status.UNAUTHENTICATED,
    'the portal does not know this agent: see that portal.tls.cert_file is the certificate it expects',
  ],
  [
    Status.PERMISSION_DENIED,
    'the portal knows this agent but does not let it ask: grant agent_id the right to make this call there',
  ],
  [
    Status.UNIMPLEMENTED,
    'what answers there is not the portal, or is too old for this contract: see portal.address and run make proto-check',
  ],
]);

/** A status other than OK, as a failure. `reached`: the connection stood, so the request itself could have provoked it. */
export function failureOf(code: number, details: string, reached: boolean): Failure {
  const cure = MISCONFIGURED.get(code);
  return {
    code: statusName(code) ?? `STATUS_${code}`,
    detail: clip(details),
    cure: cure ?? '',
    counts: !UNAVAILABILITY.has(code) ? 'no' : reached ? 'provokable' : 'unreached',
    misconfigured: cure !== undefined,
  };
}

/** A fault on this machine: it says nothing about the portal, so it never counts, and waiting does not mend it. */
export function localFault(detail: string, cure: string): Failure {
  return { code: 'LOCAL', detail: clip(detail), cure, counts: 'no', misconfigured: true };
}

/** What the portal says is foreign text of any length; a log line and a table row have room for this much. */
export function clip(text: string): string {
  return text.length <= 500 ? text : `${text.slice(0, 500)}…`;
}
