import { formatAddress } from '../config/address.ts';
import { milliseconds } from '../state/clock.ts';
import type { Connection, Passenger } from './connection.ts';
import { type Fault, statusOf } from './fault.ts';
import { Status } from './grpc-status.ts';
import { Code } from './http2/errors.ts';
import type { Headers } from './http2/fields.ts';
import type { Session } from './http2/session.ts';
import type { Caller, End, Stream } from './http2/stream.ts';
import { framed, MessageReader } from './message.ts';
import { type GrpcError, judge, ofReset, TOO_LARGE } from './reply.ts';
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

const UNTAKEN = {
  code: Status.UNAVAILABLE,
  details: 'the portal ends the connection and has not begun with the call',
  fault: null,
  untaken: true,
} as const;

class Running implements Passenger, Caller {
  readonly #connection: Connection;
  readonly #call: UnaryCall;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #reader = new MessageReader();
  readonly #since = milliseconds();
  #timer: NodeJS.Timeout;
  /** Ends its stream. */
  #cancel: (() => void) | null = null;
  #headers: Headers | null = null;
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

  begin(session: Session): void {
    const { path, message, metadata } = this.#call;
    const { isSecure, authority } = this.#connection;
    let stream: Stream;
    try {
      const headers = requestHeaders(path, isSecure, authority, this.#left(), metadata);
      stream = session.call(headers, framed(message), this);
    } catch (error) {
      // A value that no header can hold.
      this.#finish({ code: Status.INTERNAL, details: (error as Error).message, fault: null });
      return;
    }
    this.#cancel = () => session.cancel(stream);
  }

  answered(headers: Headers): void {
    this.#headers = headers;
    this.#call.onAnswer?.(headers);
  }

  received(chunk: Buffer): void {
    if (!this.#reader.push(chunk)) this.#finish({ ...TOO_LARGE, fault: null });
  }

  over(end: End): void {
    switch (end.kind) {
      case 'answered':
        this.#judge(end.trailers);
        break;
      case 'reset':
        this.#reset(end.code);
        break;
      case 'malformed':
        this.#finish({ code: Status.INTERNAL, details: `the portal sent ${end.text}`, fault: null });
        break;
      case 'untaken':
        this.#finish(UNTAKEN);
        break;
      case 'lost':
        this.lost(end.fault);
    }
  }

  lost(fault: Fault): void {
    this.#finish({ code: statusOf(fault), details: fault.text, fault });
  }

  /** @param code HTTP/2's. */
  #reset(code: number): void {
    // What is reset without an error has ended, and lacks its trailers.
    if (code === Code.NO_ERROR) this.#judge(null);
    // A stream that is refused was not begun with (RFC 9113, section 8.7), here because the portal goes.
    else if (code === Code.REFUSED_STREAM && !this.#connection.isOpen) this.#finish(UNTAKEN);
    else this.#finish({ ...ofReset(code), fault: null });
  }

  #judge(trailers: Headers | null): void {
    const judged = judge({ headers: this.#headers, trailers, read: this.#reader.read() });
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
    this.#cancel?.();
    this.#connection.leave(this);
    this.#resolve(outcome);
  }

  #left(): number {
    return Math.max(0, this.#call.end - milliseconds());
  }
}
