import { decompressed } from './compression.ts';
import { Status } from './grpc-status.ts';
import { Code } from './http2/errors.ts';
import type { Headers } from './http2/fields.ts';
import type { Read } from './message.ts';

/** What came over a stream that has ended. */
export interface Reply {
  /** Of the answer itself, not of an informational one before it (1xx); null where none came. */
  readonly headers: Headers | null;
  /** Those that ended the stream; the same as `headers` where these did. Null where something else ended it. */
  readonly trailers: Headers | null;
  readonly read: Read;
}

export interface GrpcError {
  readonly code: number;
  readonly details: string;
}

/**
 * The one message of a call that succeeded, or the status that it failed with. An answer needs all of it: HTTP 200, gRPC's content type,
 * the status 0 in trailers that end the stream, and exactly one whole message.
 */
export function judge({ headers, trailers, read }: Reply): { readonly message: Uint8Array } | GrpcError {
  if (headers === null) return { code: Status.INTERNAL, details: 'the stream ended without an answer' };
  const http = Number(headers[':status']);
  const type = headers['content-type'];
  if (!isGrpc(type)) {
    const of = type === undefined ? 'no content-type' : `content-type ${type}`;
    return { code: ofHttpStatus(http), details: `not an answer of gRPC: HTTP status ${http}, ${of}` };
  }
  // Without trailers there is at most an error: nothing says that what came is all.
  const told = (trailers ?? headers)['grpc-status'];
  if (told === undefined || (trailers === null && told === '0')) {
    const details = http === 200 ? 'the answer ended without a grpc-status' : `HTTP status ${http}`;
    return { code: ofHttpStatus(http), details };
  }
  const code = parseStatus(told);
  if (code === null) return { code: Status.UNKNOWN, details: `the grpc-status is no number: ${told}` };
  if (code !== Status.OK) return { code, details: messageOf((trailers ?? headers)['grpc-message']) };
  if (http !== 200) return { code: ofHttpStatus(http), details: `HTTP status ${http} with grpc-status 0` };
  const whole = read.kind === 'compressed' ? decompressed(read.message, headers['grpc-encoding']) : read;
  return 'message' in whole ? { message: whole.message } : ofRead(whole.kind);
}

/** `application/grpc`, with or without a suffix (`+proto`) or a parameter. */
function isGrpc(type: Headers[string]): boolean {
  return typeof type === 'string' && /^application\/grpc(?:[+;\s]|$)/i.test(type);
}

function parseStatus(told: Headers[string]): number | null {
  return typeof told === 'string' && /^(?:0|[1-9]\d{0,8})$/.test(told) ? Number(told) : null;
}

/** grpc/doc/http-grpc-status-mapping.md: for an answer that has no grpc-status. */
export function ofHttpStatus(status: number): number {
  switch (status) {
    case 400:
      return Status.INTERNAL;
    case 401:
      return Status.UNAUTHENTICATED;
    case 403:
      return Status.PERMISSION_DENIED;
    case 404:
      return Status.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status.UNAVAILABLE;
    default:
      return Status.UNKNOWN;
  }
}

/** grpc/doc/statuscodes.md: a unary call has one response, of a size that the client takes and in a form that it understands. */
function ofRead(kind: Exclude<Read, { message: Uint8Array }>['kind']): GrpcError {
  switch (kind) {
    case 'none':
      return { code: Status.UNIMPLEMENTED, details: 'the portal said OK and sent no message' };
    case 'several':
      return { code: Status.UNIMPLEMENTED, details: 'the portal sent more than one message' };
    case 'truncated':
      return { code: Status.INTERNAL, details: 'the message of the portal is not whole' };
    case 'garbled':
      return { code: Status.INTERNAL, details: 'the message of the portal cannot be decompressed' };
    case 'too large':
      return TOO_LARGE;
  }
}

export const TOO_LARGE: GrpcError = {
  code: Status.RESOURCE_EXHAUSTED,
  details: 'the message of the portal is larger than 4 MiB',
};

/**
 * grpc/doc/PROTOCOL-HTTP2.md, "Errors": what a stream that was reset failed with.
 * @param code HTTP/2's (RFC 9113, section 7).
 */
export function ofReset(code: number): GrpcError {
  switch (code) {
    case Code.REFUSED_STREAM:
      return { code: Status.UNAVAILABLE, details: 'the portal refused the stream' };
    case Code.CANCEL:
      return { code: Status.CANCELLED, details: 'the portal cancelled the call' };
    case Code.ENHANCE_YOUR_CALM:
      return {
        code: Status.RESOURCE_EXHAUSTED,
        details: 'the portal has too much to do (ENHANCE_YOUR_CALM)',
      };
    case Code.INADEQUATE_SECURITY:
      return {
        code: Status.PERMISSION_DENIED,
        details: 'the connection is not secure enough for the portal',
      };
    default:
      return { code: Status.INTERNAL, details: `the stream was reset with HTTP/2's code ${code}` };
  }
}

/** A grpc-message is UTF-8, percent-encoded; what is not well encoded is shown as it came. */
export function messageOf(told: Headers[string]): string {
  return String(told ?? '').replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString(),
  );
}
