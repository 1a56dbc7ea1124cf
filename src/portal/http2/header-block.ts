import { Code, ConnectionError } from './errors.ts';

/**
 * Of headers as they are encoded, with their frames: more than the longest list that we take, so that one that is too long ends its own call;
 * and not without end, which a list in frames may be (CVE-2024-27316).
 */
const MAX_BLOCK_BYTES = 256 * 1024;

/** A frame without content is to count, too. */
const FRAME_COSTS = 32;

/** Headers of a stream, which come in one frame or, with nothing between them, in several (RFC 9113, section 4.3). */
export class HeaderBlock {
  readonly stream: number;
  /** They are the last of what is said on the stream. */
  readonly isLast: boolean;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(stream: number, isLast: boolean) {
    this.stream = stream;
    this.isLast = isLast;
  }

  add(piece: Buffer): void {
    this.#bytes += piece.length + FRAME_COSTS;
    if (this.#bytes > MAX_BLOCK_BYTES) {
      throw new ConnectionError(Code.ENHANCE_YOUR_CALM, 'headers that do not end');
    }
    this.#pieces.push(piece);
  }

  get whole(): Buffer {
    const [first] = this.#pieces;
    return this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces);
  }
}
