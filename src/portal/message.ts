/** How gRPC puts messages on a stream (grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message"): a byte that says whether it is compressed, its length, it. */
const PREFIX_BYTES = 5;

/** What gRPC's clients take by default; the portal's answers are a thousandth of it. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** What a stream's data came to: exactly one message is an answer, anything else is none. */
export type Read =
  | { readonly kind: 'one' | 'compressed'; readonly message: Uint8Array }
  | { readonly kind: 'none' | 'several' | 'truncated' | 'garbled' | 'too large' };

/** Puts together what came in pieces. It never holds more than one message of the greatest size. */
export class MessageReader {
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  /** @returns false when there is more of it than any message may have: what comes further is of no interest. */
  push(chunk: Uint8Array): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > PREFIX_BYTES + MAX_MESSAGE_BYTES) return false;
    this.#chunks.push(chunk);
    return true;
  }

  /** Once the stream has ended. */
  read(): Read {
    if (this.#bytes === 0) return { kind: 'none' };
    if (this.#bytes > PREFIX_BYTES + MAX_MESSAGE_BYTES) return { kind: 'too large' };
    const [first] = this.#chunks;
    const all =
      this.#chunks.length === 1 && first !== undefined
        ? Buffer.from(first.buffer, first.byteOffset, first.length)
        : Buffer.concat(this.#chunks);
    if (all.length < PREFIX_BYTES) return { kind: 'truncated' };
    const end = PREFIX_BYTES + all.readUInt32BE(1);
    if (end > PREFIX_BYTES + MAX_MESSAGE_BYTES) return { kind: 'too large' };
    if (all.length < end) return { kind: 'truncated' };
    if (all.length > end) return { kind: 'several' };
    const message = all.subarray(PREFIX_BYTES);
    switch (all.readUInt8(0)) {
      case 0:
        return { kind: 'one', message };
      case 1:
        return { kind: 'compressed', message };
      default:
        return { kind: 'garbled' };
    }
  }
}
