/** Servers that a portal client may meet in place of a portal, each in a process' own hands, frame by frame where it must be. */
import { once } from 'node:events';
import {
  createServer as createPlainHttp2,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';
import { formatAddress } from '../../src/config/address.ts';
import { CheckPolicyResponse } from '../../src/portal/gen/vpn/v1/auth.ts';
import { framed } from '../../src/portal/message.ts';
import { keys, listening } from './doctor-servers.ts';

export const GRPC = { ':status': 200, 'content-type': 'application/grpc' } as const;
/** What a portal answers that lets somebody in. */
export const ALLOWED = framed(
  CheckPolicyResponse.encode(CheckPolicyResponse.create({ allowed: true })).finish(),
);

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

export interface Served extends AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
  readonly sessions: readonly ServerHttp2Session[];
  readonly streams: readonly ServerHttp2Stream[];
}

export interface Ways {
  readonly settings?: Settings;
  /** Without TLS. */
  readonly plain?: boolean;
  /** What it is served with; default: the files'. */
  readonly tls?: object;
}

/** An HTTP/2 server that does with each call what the test wants. */
export async function serving(
  files: CertificateFiles,
  onStream: OnStream,
  { settings = {}, plain = false, tls = {} }: Ways = {},
): Promise<Served> {
  const sessions: ServerHttp2Session[] = [];
  const streams: ServerHttp2Stream[] = [];
  const server = plain
    ? createPlainHttp2({ settings })
    : createSecureServer({ ...keys(files), rejectUnauthorized: true, settings, ...tls });
  server.on('session', (session: ServerHttp2Session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    streams.push(stream);
    stream.on('error', () => {});
    stream.resume();
    onStream(stream, headers);
  });
  const { address, [Symbol.asyncDispose]: end } = await listening(server);
  return { address: parsed(address), sessions, streams, [Symbol.asyncDispose]: end };
}

/** A TLS server that does with each connection what the test wants. */
export async function overTls(
  files: CertificateFiles,
  onSocket: (socket: TLSSocket) => void,
  options: object = { ALPNProtocols: ['h2'] },
): Promise<{ readonly address: Served['address'] } & AsyncDisposable> {
  const server = createTlsServer({ ...keys(files), ...options }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  const { address, [Symbol.asyncDispose]: end } = await listening(server);
  return { address: parsed(address), [Symbol.asyncDispose]: end };
}

export function parsed(address: string): Served['address'] {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}

/** RFC 9113, section 4.1. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const SETTINGS = frame(4, 0, 0);
const HEADERS = 1;

const PREFACE_BYTES = 24;

/** Whether the headers of a request are in what a client has sent so far. */
export function hasRequest(seen: Buffer): boolean {
  for (let at = PREFACE_BYTES; at + 9 <= seen.length; at += 9 + seen.readUIntBE(at, 3)) {
    if (seen[at + 3] === HEADERS) return true;
  }
  return false;
}

/** Greets, and does what the test wants once a request is there. */
export function onRequest(socket: TLSSocket, act: () => void): void {
  socket.write(SETTINGS);
  let seen = Buffer.alloc(0);
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    if (!hasRequest(seen)) return;
    socket.off('data', look).resume();
    act();
  };
  socket.on('data', look);
}

/** Headers of an answer of gRPC (RFC 7541, section 6: `:status: 200`, and content-type as a literal). */
export function grpcHeaders(stream: number): Buffer {
  const type = Buffer.from('application/grpc');
  return frame(1, 4, stream, Buffer.concat([Uint8Array.of(0x88, 0x0f, 0x10, type.length), type]));
}

export function reset(stream: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code, 0);
  return frame(3, 0, stream, payload);
}

export function goaway(lastStream: number, code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream, 0);
  payload.writeUInt32BE(code, 4);
  return frame(7, 0, 0, payload);
}

/** The answer of a portal that lets somebody in, or whatever else the test says. */
export function answer(
  stream: ServerHttp2Stream,
  {
    headers = GRPC,
    body = ALLOWED,
    trailers = { 'grpc-status': '0' },
  }: {
    readonly headers?: Readonly<Record<string, string | number>>;
    readonly body?: Uint8Array | null;
    readonly trailers?: Record<string, string> | null;
  } = {},
): void {
  stream.respond(headers, { waitForTrailers: trailers !== null });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
  stream.end(body ?? undefined);
}

export function closed(stream: ServerHttp2Stream): Promise<unknown> {
  return stream.closed ? Promise.resolve() : once(stream, 'close');
}

export function text({ host, port }: Served['address']): string {
  return formatAddress({ host, port });
}
