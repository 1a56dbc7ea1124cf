import { frameSizeError, protocolError } from './errors.ts';

/** What a frame is (RFC 9113, section 6). PRIORITY (0x2) means nothing any more, and is passed over like what nobody knows. */
export const Type = {
  DATA: 0x0,
  HEADERS: 0x1,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

export const Flag = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** What a client says before its first frame (section 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Of a frame's payload: what each side takes until it says something else (section 4.2). We never do. */
export const MAX_FRAME_BYTES = 16_384;

/** Of ids, windows and what is added to them: 31 bits; the one before them is reserved, and not looked at. */
export const MAX_31_BITS = 0x7fff_ffff;

const HEAD_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0: of the whole connection. */
  readonly stream: number;
  /** A part of what was read, not a copy of it. */
  readonly payload: Buffer;
}

const NOTHING = Buffer.alloc(0);

/** Section 4.1. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = NOTHING): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

/** One whose payload is numbers of 32 bits: RST_STREAM, GOAWAY, WINDOW_UPDATE. */
export function frameOfWords(type: number, stream: number, ...words: readonly number[]): Buffer {
  const payload = Buffer.allocUnsafe(4 * words.length);
  words.forEach((word, i) => {
    payload.writeUInt32BE(word, 4 * i);
  });
  return frame(type, 0, stream, payload);
}

/** Headers, in as many frames as the other side's limit makes of them (section 6.10). The message follows. */
export function headersFrames(stream: number, block: Buffer, most: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += most) {
    const type = at === 0 ? Type.HEADERS : Type.CONTINUATION;
    const flags = at + most >= block.length ? Flag.END_HEADERS : 0;
    frames.push(frame(type, flags, stream, block.subarray(at, at + most)));
  }
  return frames;
}

/** What is in a DATA or HEADERS frame besides padding and, long obsolete, a priority (sections 6.1 and 6.2). */
export function contentOf({ type, flags, payload }: Frame): Buffer {
  const isPadded = (flags & Flag.PADDED) !== 0;
  const priority = type === Type.HEADERS && (flags & Flag.PRIORITY) !== 0 ? 5 : 0;
  const start = (isPadded ? 1 : 0) + priority;
  if (payload.length < start) throw frameSizeError('a frame that is too short for its flags');
  const end = payload.length - (isPadded ? payload.readUInt8(0) : 0);
  if (end < start) throw protocolError('a frame with more padding than there is room for');
  return payload.subarray(start, end);
}

/**
 * Makes frames of the bytes that come, wherever these are cut. It holds one frame at most, and looks at a frame's length before it
 * waits for the rest of it.
 */
export class FrameReader {
  #pieces: Buffer[] = [];
  #held = 0;
  /** So many bytes make the next step: a frame's head, then all of it. */
  #wanted = HEAD_BYTES;

  /** @returns the frames that are whole by now, one after another, so that each is dealt with before the next is looked at. */
  *push(chunk: Buffer): Generator<Frame, void> {
    this.#pieces.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#wanted) return;
    const [first] = this.#pieces;
    const bytes = this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces);
    let at = 0;
    this.#wanted = HEAD_BYTES;
    while (bytes.length - at >= HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      if (length > MAX_FRAME_BYTES) throw frameSizeError(`a frame of ${length} bytes`);
      const end = at + HEAD_BYTES + length;
      if (end > bytes.length) {
        this.#wanted = HEAD_BYTES + length;
        break;
      }
      yield {
        type: bytes.readUInt8(at + 3),
        flags: bytes.readUInt8(at + 4),
        stream: bytes.readUInt32BE(at + 5) & MAX_31_BITS,
        payload: bytes.subarray(at + HEAD_BYTES, end),
      };
      at = end;
    }
    this.#pieces = at < bytes.length ? [bytes.subarray(at)] : [];
    this.#held = bytes.length - at;
  }
}
