import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { formatAddress } from '../config/address.ts';
import { milliseconds } from '../state/clock.ts';
import type { Connection, Passenger } from './connection.ts';
import { type Fault, faultOf, statusOf } from './fault.ts';
import { Status } from './grpc-status.ts';
import { framed, MessageReader } from './message.ts';
import { CANCEL, type GrpcError, type Headers, judge, ofReset, REFUSED_STREAM, TOO_LARGE } from './reply.ts';
import { type Metadata, requestHeaders } from './request-headers.ts';

export interface UnaryCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly message: Uint8Array;
  readonly metadata: Metadata;
  /** Milliseconds of the monotonic clock: until when there is to be an answer. */
  readonly end: number;
  /** Likewise: until when the connection is to stand. */
  readonly connectBy: number;
  /** Given the headers of whatever the portal answers. */
  readonly onAnswer: ((headers: Headers) => void) | undefined;
}

export type Outcome =
  | { readonly message: Uint8Array }
  /**
   * `fault`: not the portal's word, but what became of the connection. `untaken`: the portal ends the connection, and has certainly not
   * begun with this call.
   */
  | (GrpcError & { readonly fault: Fault | null; readonly untaken?: true });

/** Makes one call over a connection that stands or is being made. It never throws, and leaves nothing behind. */
export function callOver(connection: Connection, call: UnaryCall): Promise<Outcome> {
  return new Promise((resolve) => connection.join(new Running(connection, call, resolve)));
}

/** HTTP/2's flag of a HEADERS frame that ends the stream. */
const END_STREAM = 0x1;

const UNTAKEN = {
  code: Status.UNAVAILABLE,
  details: 'the portal ends the connection and has not begun with the call',
  fault: null,
  untaken: true,
} as const;

class Running implements Passenger {
  readonly #connection: Connection;
  readonly #call: UnaryCall;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #reader = new MessageReader();
  readonly #since = milliseconds();
  #timer: NodeJS.Timeout;
  #stream: ClientHttp2Stream | null = null;
  #headers: Headers | null = null;
  #trailers: Headers | null = null;
  /** Of the stream. */
  #fault: Fault | null = null;
  #isOver = false;

  constructor(connection: Connection, call: UnaryCall, resolve: (outcome: Outcome) => void) {
    this.#connection = connection;
    this.#call = call;
    this.#resolve = resolve;
    const share = Math.max(0, Math.min(call.connectBy, call.end) - this.#since);
    this.#timer = setTimeout(() => this.#connectsTooSlowly(share), share);
  }

  reached(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#answersTooSlowly(), this.#left());
  }

  begin(session: ClientHttp2Session): void {
    const { path, message, metadata, onAnswer } = this.#call;
    const { isSecure, authority } = this.#connection;
    let stream: ClientHttp2Stream;
    try {
      const headers = requestHeaders(path, isSecure, authority, this.#left(), metadata);
      stream = session.request(headers, { endStream: false });
    } catch (error) {
      // A value that no header can hold.
      this.#finish({ code: Status.INTERNAL, details: (error as Error).message, fault: null });
      return;
    }
    this.#stream = stream;
    stream.once('response', (headers, flags) => {
      this.#headers = headers;
      if ((flags & END_STREAM) !== 0) this.#trailers = headers;
      if (!this.#isOver) onAnswer?.(headers);
    });
    stream.once('trailers', (trailers) => {
      this.#trailers = trailers;
    });
    stream.on('data', (chunk: Buffer) => {
      if (!this.#reader.push(chunk)) this.#finish({ ...TOO_LARGE, fault: null });
    });
    // What has no trailers may have been cut off: then `close` tells.
    stream.once('end', () => {
      if (this.#trailers !== null) this.#judge();
    });
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // A reset of this stream alone has its code; any other error is the whole connection's, or keeps this call off it.
      if (error.code !== 'ERR_HTTP2_STREAM_ERROR') this.#fault ??= faultOf(error);
    });
    stream.once('close', () => this.#closed(stream.rstCode ?? 0));
    stream.end(framed(message));
  }

  lost(fault: Fault): void {
    this.#finish({ code: statusOf(fault), details: fault.text, fault });
  }

  /** @param code HTTP/2's; without meaning where the whole connection has ended. */
  #closed(code: number): void {
    const fault = this.#connection.fault ?? this.#fault;
    // What ended the stream after the last of the answer takes nothing away from it.
    if (this.#trailers !== null || (code === 0 && fault === null)) this.#judge();
    // What it had not begun with as it said goodbye, and what waited here for its turn, node:http2 ends as if it were refused.
    else if (code === REFUSED_STREAM && !this.#connection.isOpen) this.#finish(UNTAKEN);
    else if (fault !== null) this.lost(fault);
    else this.#finish({ ...ofReset(code), fault: null });
  }

  #judge(): void {
    const reply = { headers: this.#headers, trailers: this.#trailers, read: this.#reader.read() };
    const judged = judge(reply);
    this.#finish('message' in judged ? judged : { ...judged, fault: null });
  }

  #connectsTooSlowly(share: number): void {
    const { address } = this.#connection.endpoint;
    const details = `no connection to ${formatAddress(address)} within ${Math.round(share)} ms`;
    this.#finish({ code: Status.DEADLINE_EXCEEDED, details, fault: null });
  }

  #answersTooSlowly(): void {
    const { address } = this.#connection.endpoint;
    const waited = Math.round(milliseconds() - this.#since);
    const details = `no answer from ${formatAddress(address)} within ${waited} ms`;
    this.#finish({ code: Status.DEADLINE_EXCEEDED, details, fault: null });
  }

  #finish(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    // Of a stream that has ended by itself this says nothing any more.
    this.#stream?.close(CANCEL);
    this.#connection.leave(this);
    this.#resolve(outcome);
  }

  #left(): number {
    return Math.max(0, this.#call.end - milliseconds());
  }
}
