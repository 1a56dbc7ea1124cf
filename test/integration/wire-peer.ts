/** A portal that is spoken for frame by frame. */
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';
import { ALLOWED, frame, grpcHeaders, overTls, type Served } from './wire-servers.ts';

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
const SETTINGS_TYPE = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;

export interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The portal's end of a connection. It has not said anything yet. */
export class Peer {
  readonly socket: TLSSocket;
  readonly #seen: Seen[] = [];
  #bytes = Buffer.alloc(0);
  #hasPreface = false;
  #wake = (): void => {};

  constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#parse();
      this.#wake();
    });
    socket.on('close', () => this.#wake());
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The next frame of this type that the client sends, whatever else it sends; null where it has gone. */
  async next(type: number): Promise<Seen | null> {
    for (;;) {
      const at = this.#seen.findIndex((one) => one.type === type);
      const [one] = at < 0 ? [] : this.#seen.splice(at, 1);
      if (one !== undefined) return one;
      if (this.socket.destroyed) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** All that the client has sent up to now, of these types: it answers a ping after what it has done before. */
  async sofar(...types: readonly number[]): Promise<Seen[]> {
    const kept: Seen[] = [];
    this.send(frame(PING, 0, 0, Buffer.from('until me')));
    for (;;) {
      const one = this.#seen.shift();
      if (one === undefined) {
        if (this.socket.destroyed) return kept;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      } else if (one.type === PING && one.payload.toString() === 'until me') return kept;
      else if (types.includes(one.type)) kept.push(one);
    }
  }

  /** The code of the goodbye that it says as it goes; null where it says none. */
  async goodbye(): Promise<number | null> {
    const said = await this.next(GOAWAY);
    if (!this.socket.destroyed) await once(this.socket, 'close');
    return said?.payload.readUInt32BE(4) ?? null;
  }

  #parse(): void {
    if (!this.#hasPreface) {
      if (this.#bytes.length < 24) return;
      this.#hasPreface = true;
      this.#bytes = this.#bytes.subarray(24);
    }
    while (this.#bytes.length >= 9) {
      const end = 9 + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) return;
      this.#seen.push({
        type: this.#bytes[3] ?? 0,
        flags: this.#bytes[4] ?? 0,
        stream: this.#bytes.readUInt32BE(5),
        payload: this.#bytes.subarray(9, end),
      });
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}

export interface Speaking extends AsyncDisposable {
  readonly address: Served['address'];
  readonly connections: number;
  /** All has been said and heard that the test wants. */
  spoken(): Promise<unknown>;
}

/** Does with each connection what the test wants; what goes wrong there is thrown at the end. */
export async function speaking(
  files: CertificateFiles,
  onPeer: (peer: Peer, which: number) => void | Promise<void>,
): Promise<Speaking> {
  const spoken: Promise<void>[] = [];
  const sockets: TLSSocket[] = [];
  const server = await overTls(files, (socket) => {
    sockets.push(socket);
    spoken.push(Promise.resolve(onPeer(new Peer(socket), sockets.length)));
  });
  return {
    address: server.address,
    get connections() {
      return sockets.length;
    },
    spoken: () => Promise.all(spoken),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      const results = await Promise.allSettled(spoken);
      await server[Symbol.asyncDispose]();
      for (const one of results) if (one.status === 'rejected') throw one.reason;
    },
  };
}

/** RFC 9113, section 6.5. */
export function settings(...pairs: readonly (readonly [setting: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  pairs.forEach(([setting, value], i) => {
    payload.writeUInt16BE(setting, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return frame(SETTINGS_TYPE, 0, 0, payload);
}
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
export const MAX_FRAME_SIZE = 5;

export function widen(stream: number, by: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(by, 0);
  return frame(WINDOW_UPDATE, 0, stream, payload);
}

/** A field in its letters, neither compressed nor to be remembered (RFC 7541, section 6.2.2). */
export function literal(name: string, value: string): Buffer {
  const text = (one: string): Buffer => {
    const bytes = Buffer.from(one, 'latin1');
    // A length of several bytes (section 5.1).
    const long = bytes.length < 127 ? [bytes.length] : [127];
    for (let rest = bytes.length - 127; rest >= 0; rest = rest < 128 ? -1 : rest >> 7) {
      long.push(rest < 128 ? rest : (rest & 127) | 128);
    }
    return Buffer.concat([Buffer.from(long), bytes]);
  };
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** `:status: 200`, and gRPC's content type. */
export const HEAD = Buffer.concat([Buffer.of(0x88), literal('content-type', 'application/grpc')]);
export const TAIL = literal('grpc-status', '0');

/** The answer of a portal that lets somebody in. */
export function allowed(stream: number): Buffer {
  return Buffer.concat([grpcHeaders(stream), frame(DATA, 0, stream, ALLOWED), trailers(stream)]);
}

export function trailers(stream: number): Buffer {
  return frame(HEADERS, END_HEADERS | END_STREAM, stream, TAIL);
}
