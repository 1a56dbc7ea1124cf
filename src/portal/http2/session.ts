import type { Duplex } from 'node:stream';
import { type Fault, faultOf, goneAway, violation } from '../fault.ts';
import { Code, ConnectionError, frameSizeError, protocolError, StreamError } from './errors.ts';
import { fieldsOf } from './fields.ts';
import {
  contentOf,
  Flag,
  type Frame,
  FrameReader,
  frame,
  frameOfWords,
  MAX_31_BITS,
  Type,
} from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { Decoder, encodeFields } from './hpack.ts';
import { ReceiveWindow } from './receive-window.ts';
import { greeting, MAX_HEADER_BYTES, SETTINGS_ACK } from './settings.ts';
import { type Caller, type End, Stream } from './stream.ts';
import { Streams } from './streams.ts';

/** Whose connection it is. */
export interface Owner {
  /** The other side's first SETTINGS have come. Once. */
  reached(): void;
  /** No further call can be made; those that are on their way may end. */
  leaving(): void;
  /** Nothing more will come of it: it is to be closed. */
  failed(fault: Fault): void;
}

/**
 * Bytes that wait for the other side to take them: with more of them nothing is read. Whoever makes us answer without listening (PING and
 * SETTINGS want it) is not listened to either.
 */
const MAX_UNSENT_BYTES = 256 * 1024;

/**
 * A client's side of HTTP/2 (RFC 9113) over a connection that stands, and no more of it than calls need that are one message and its
 * answer. Whatever the other side sends ends as what became of a call or of the connection, and never as an exception.
 */
export class Session {
  readonly #socket: Duplex;
  readonly #owner: Owner;
  readonly #reader = new FrameReader();
  readonly #decoder = new Decoder();
  readonly #receiving = new ReceiveWindow();
  readonly #streams: Streams;
  /** Headers of which the end has not come. */
  #block: HeaderBlock | null = null;
  #isReached = false;
  #isLeaving = false;
  #fault: Fault | null = null;
  /** What it is closed with. */
  #code: number = Code.NO_ERROR;

  /** @param firstId for tests: there are a thousand million. */
  constructor(socket: Duplex, owner: Owner, firstId = 1) {
    this.#socket = socket;
    this.#owner = owner;
    this.#streams = new Streams(socket, firstId);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.write(greeting());
  }

  /** Whether it takes further calls. */
  get isOpen(): boolean {
    return this.#fault === null && !this.#isLeaving;
  }

  /**
   * Makes a call, as soon as the other side takes one more.
   * @throws TypeError where the headers cannot be said; then nothing was sent.
   */
  call(headers: Readonly<Record<string, string>>, message: Buffer, caller: Caller): Stream {
    const stream = new Stream(encodeFields(fieldsOf(headers)), message, caller);
    if (this.#fault !== null) caller.over({ kind: 'lost', fault: this.#fault });
    else if (this.#isLeaving) caller.over({ kind: 'untaken' });
    else this.#streams.add(stream);
    if (this.#streams.areUsedUp && this.isOpen) this.#leave(MAX_31_BITS);
    return stream;
  }

  /** Whoever called hears nothing more of it. Of a call that is over this says nothing. */
  cancel(stream: Stream): void {
    this.#streams.remove(stream, Code.CANCEL);
  }

  /** At once. The socket is the owner's to destroy. */
  close(fault: Fault): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    if (this.#socket.writable) this.#socket.write(frameOfWords(Type.GOAWAY, 0, 0, this.#code));
    while (this.#socket.writableCorked > 0) this.#socket.uncork();
    for (const { caller } of this.#streams.removeAll()) caller.over({ kind: 'lost', fault });
  }

  #read(chunk: Buffer): void {
    if (this.#fault !== null) return;
    // What is written over what is read goes out together.
    this.#socket.cork();
    try {
      for (const one of this.#reader.push(chunk)) {
        this.#take(one);
        if (this.#fault !== null) return;
      }
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#socket.uncork();
    }
    if (this.#socket.writableLength > MAX_UNSENT_BYTES) {
      this.#socket.pause();
      this.#socket.once('drain', () => this.#socket.resume());
    }
  }

  #fail(error: Error): void {
    const isTheirs = error instanceof ConnectionError || error instanceof StreamError;
    this.#code = isTheirs ? error.code : Code.INTERNAL_ERROR;
    this.#owner.failed(isTheirs ? violation(error.message) : faultOf(error));
  }

  #take(one: Frame): void {
    const isSettings = one.type === Type.SETTINGS && (one.flags & Flag.ACK) === 0;
    if (!this.#isReached && !isSettings && one.type !== Type.GOAWAY)
      throw protocolError('something else before its settings');
    if (this.#block !== null && (one.type !== Type.CONTINUATION || one.stream !== this.#block.stream)) {
      throw protocolError('a frame in the middle of headers');
    }
    switch (one.type) {
      case Type.DATA:
        this.#onData(one);
        break;
      case Type.HEADERS:
        this.#onHeaders(one);
        break;
      case Type.CONTINUATION:
        if (this.#block === null) throw protocolError('the end of headers that have not begun');
        this.#onBlock(this.#block, one.payload, one.flags);
        break;
      case Type.RST_STREAM:
        this.#onReset(one);
        break;
      case Type.SETTINGS:
        this.#onSettings(one);
        break;
      case Type.PING:
        this.#onPing(one);
        break;
      case Type.GOAWAY:
        this.#onGoaway(one);
        break;
      case Type.WINDOW_UPDATE:
        this.#onWindowUpdate(one);
        break;
      case Type.PUSH_PROMISE:
        throw protocolError('an answer that nobody asked for');
    }
  }

  #onSettings(one: Frame): void {
    ofConnection(one);
    if ((one.flags & Flag.ACK) !== 0) {
      ofBytes(one, 0);
      return;
    }
    this.#streams.set(one.payload);
    this.#socket.write(SETTINGS_ACK);
    if (!this.#isReached) {
      this.#isReached = true;
      this.#owner.reached();
    }
    this.#streams.goOn();
  }

  #onPing(one: Frame): void {
    ofConnection(one);
    ofBytes(one, 8);
    if ((one.flags & Flag.ACK) === 0) this.#socket.write(frame(Type.PING, Flag.ACK, 0, one.payload));
  }

  /** What came counts against the windows that we gave, of calls that are over too. */
  #onData(one: Frame): void {
    const { stream: id, flags, payload } = one;
    const content = contentOf(one);
    const isLast = (flags & Flag.END_STREAM) !== 0;
    this.#giveBack(0, this.#receiving.take(payload.length));
    this.#onStream(id, (stream) => {
      if (!isLast) this.#giveBack(id, stream.receiving.take(payload.length));
      return stream.onData(content, isLast);
    });
  }

  #giveBack(id: number, bytes: number): void {
    if (bytes > 0) this.#socket.write(frameOfWords(Type.WINDOW_UPDATE, id, bytes));
  }

  #onHeaders(one: Frame): void {
    this.#streams.find(one.stream);
    const block = new HeaderBlock(one.stream, (one.flags & Flag.END_STREAM) !== 0);
    this.#onBlock(block, contentOf(one), one.flags);
  }

  /** What is for a call that is over is decoded, too: what is said later may refer to it. */
  #onBlock(block: HeaderBlock, piece: Buffer, flags: number): void {
    block.add(piece);
    this.#block = (flags & Flag.END_HEADERS) === 0 ? block : null;
    if (this.#block !== null) return;
    const fields = this.#decoder.decode(block.whole, MAX_HEADER_BYTES);
    this.#onStream(block.stream, (stream) => stream.onHeaders(fields, block.isLast));
  }

  #onReset(one: Frame): void {
    const code = word(one);
    this.#onStream(one.stream, () => ({ kind: 'reset', code }));
  }

  #onWindowUpdate(one: Frame): void {
    const by = word(one) & MAX_31_BITS;
    if (one.stream === 0) this.#streams.widen(by);
    else
      this.#onStream(one.stream, (stream) => {
        this.#streams.widenOne(stream, by);
        return null;
      });
  }

  /** Section 6.8. It may come twice: first that the connection will end, then what had been begun by then. */
  #onGoaway(one: Frame): void {
    ofConnection(one);
    if (one.payload.length < 8) throw frameSizeError('a goodbye that is too short');
    const code = one.payload.readUInt32BE(4);
    // Before its settings it is one that takes nobody, whatever it says.
    if (code === Code.NO_ERROR && this.#isReached) this.#leave(one.payload.readUInt32BE(0) & MAX_31_BITS);
    else this.#owner.failed(goneAway(code));
  }

  /** @param last the last call that the other side has begun with, or may have. */
  #leave(last: number): void {
    this.#isLeaving = true;
    for (const { caller } of this.#streams.removeAll(last)) caller.over({ kind: 'untaken' });
    this.#owner.leaving();
  }

  #onStream(id: number, act: (stream: Stream) => End | null): void {
    const stream = this.#streams.find(id);
    if (stream === undefined) return;
    let end: End | null;
    let code: number | null = null;
    try {
      end = act(stream);
      // An answer to what was not said to its end.
      if (end?.kind === 'answered' && !stream.isSent) code = Code.CANCEL;
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      end = { kind: 'malformed', text: error.message };
      code = error.code;
    }
    // It may have been cancelled by whoever was told what came.
    if (end === null || !this.#streams.isUnderWay(stream)) return;
    this.#streams.remove(stream, code);
    stream.caller.over(end);
  }
}

function word(one: Frame): number {
  ofBytes(one, 4);
  return one.payload.readUInt32BE(0);
}

function ofBytes({ payload }: Frame, bytes: number): void {
  if (payload.length !== bytes) throw frameSizeError(`${payload.length} bytes in a frame of ${bytes}`);
}

function ofConnection({ stream }: Frame): void {
  if (stream !== 0) throw protocolError('a frame of the connection on a stream');
}
