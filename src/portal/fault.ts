import { Status } from './grpc-status.ts';

/** Why a connection was not made, or is no more. */
export interface Fault {
  /** Of Node, the system and OpenSSL (`ECONNREFUSED`, `CERT_HAS_EXPIRED`): one for each address that was tried. */
  readonly codes: readonly string[];
  /** What they say of it. */
  readonly text: string;
}

/** The other side ended it, and did not say why. */
export const CLOSED: Fault = { codes: ['CLOSED'], text: 'it closed the connection' };
/** We did. */
export const CLOSED_BY_US: Fault = { codes: ['CLOSED_BY_US'], text: 'the connection was closed here' };
/** TLS stands, and what was agreed on for it is not HTTP/2. */
export const NO_HTTP2: Fault = { codes: ['NO_HTTP2'], text: 'no HTTP/2 was agreed on (ALPN)' };

/**
 * @param ip which of a name's records.
 * @param milliseconds that it was given, because there are others to try.
 */
export function silent(ip: string, milliseconds: number): Fault {
  return { codes: [SILENT], text: `${ip} said nothing within ${Math.round(milliseconds)} ms` };
}
const SILENT = 'SILENT';

/** What a call fails with that was to go over such a connection. */
export function statusOf(fault: Fault): number {
  if (fault === CLOSED_BY_US) return Status.CANCELLED;
  // As for one that is silent to the end: it may be this machine that had no time to hear it (starvation.ts).
  if (fault.codes.includes(SILENT)) return Status.DEADLINE_EXCEEDED;
  return Status.UNAVAILABLE;
}

/** @param code why, by HTTP/2's (RFC 9113, section 7). */
export function goneAway(code: number): Fault {
  return { codes: ['GOAWAY'], text: `it ended the connection with HTTP/2's code ${code}` };
}

/** The other side does not keep to HTTP/2. @param text what it sent. */
export function violation(text: string): Fault {
  return { codes: ['HTTP2_VIOLATION'], text: `it sent ${text}` };
}

/** A name has several addresses, and each of them its own error. */
export function faultOf(error: Error): Fault {
  const each = error instanceof AggregateError ? (error.errors as Error[]) : [error];
  return {
    codes: each.map((one) => String((one as NodeJS.ErrnoException).code ?? '')),
    text: each.map(({ message }) => message).join(', '),
  };
}
