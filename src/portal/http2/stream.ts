import type { Fault } from '../fault.ts';
import { Code, StreamError } from './errors.ts';
import { type Headers, headersOf } from './fields.ts';
import { MAX_31_BITS } from './frames.ts';
import type { Field } from './hpack-table.ts';
import { ReceiveWindow } from './receive-window.ts';

/** How a call has ended, as far as HTTP/2 goes. */
export type End =
  /** By its trailers, which are its only headers where nothing else came; null where the answer has none. */
  | { readonly kind: 'answered'; readonly trailers: Headers | null }
  /** The other side took back what it had said of it. */
  | { readonly kind: 'reset'; readonly code: number }
  /** It has broken HTTP/2's rules. */
  | { readonly kind: 'malformed'; readonly text: string }
  /** The other side ends the connection, and has certainly not begun with it. */
  | { readonly kind: 'untaken' }
  /** With the connection. */
  | { readonly kind: 'lost'; readonly fault: Fault };

/** Who called. */
export interface Caller {
  /** The headers of the answer itself, not of an informational one before it (1xx). */
  answered(headers: Headers): void;
  received(chunk: Buffer): void;
  /** Once, and nothing after it. It may come while the call is being made. */
  over(end: End): void;
}

/** One call, in HTTP/2's words: what is still to be sent of it, and what has come. */
export class Stream {
  /** 0 while it waits for its turn. */
  id = 0;
  readonly caller: Caller;
  /** Its headers, encoded. */
  readonly block: Buffer;
  #unsent: Buffer;
  /** How much of it the other side takes; it may be less than nothing (RFC 9113, section 6.9.2). */
  #window = 0;
  /** How much of its answer may come. */
  readonly receiving = new ReceiveWindow();
  #headers: Headers | null = null;

  /** @param message at least a byte: the end of what we say comes with the last. */
  constructor(block: Buffer, message: Buffer, caller: Caller) {
    this.block = block;
    this.#unsent = message;
    this.caller = caller;
  }

  get isSent(): boolean {
    return this.#unsent.length === 0;
  }

  /** @throws StreamError where it is more than a window may be (section 6.9.1). */
  widen(by: number): void {
    this.#window += by;
    if (this.#window > MAX_31_BITS)
      throw new StreamError(Code.FLOW_CONTROL_ERROR, 'a window that is too wide');
  }

  /** The next piece of the message, of so many bytes at most; empty where the window is closed. */
  take(most: number): Buffer {
    const bytes = Math.max(0, Math.min(most, this.#window, this.#unsent.length));
    const piece = this.#unsent.subarray(0, bytes);
    this.#unsent = this.#unsent.subarray(bytes);
    this.#window -= bytes;
    return piece;
  }

  /**
   * @param fields null: more than they may be.
   * @returns how it has ended, or null where it goes on.
   */
  onHeaders(fields: readonly Field[] | null, isLast: boolean): End | null {
    if (fields === null)
      throw new StreamError(Code.ENHANCE_YOUR_CALM, 'an answer with headers of more than 64 KiB');
    const headers = headersOf(fields, this.#headers !== null);
    if (this.#headers !== null) {
      if (!isLast) throw malformed('trailers that are not its end');
      return { kind: 'answered', trailers: headers };
    }
    const status = Number(headers[':status']);
    if (status < 200) {
      // Sections 8.1 and 8.6.
      if (isLast || status === 101) throw malformed(`nothing but the status ${status}`);
      return null;
    }
    this.#headers = headers;
    this.caller.answered(headers);
    return isLast ? { kind: 'answered', trailers: headers } : null;
  }

  onData(content: Buffer, isLast: boolean): End | null {
    if (this.#headers === null) throw malformed('a message before its headers');
    // Any number of empty ones may come, and whoever called keeps what it is given.
    if (content.length > 0) this.caller.received(content);
    return isLast ? { kind: 'answered', trailers: null } : null;
  }
}

function malformed(what: string): StreamError {
  return new StreamError(Code.PROTOCOL_ERROR, `an answer with ${what}`);
}
