import type { Duplex } from 'node:stream';
import { Code, ConnectionError, protocolError, StreamError } from './errors.ts';
import { Flag, frame, frameOfWords, headersFrames, MAX_31_BITS, Type } from './frames.ts';
import { NO_TABLE } from './hpack.ts';
import { DEFAULT_WINDOW, PeerSettings } from './settings.ts';
import type { Stream } from './stream.ts';

/** The calls of a connection that are not over: whose turn it is, and how much of their messages the other side takes by now. */
export class Streams {
  readonly #socket: Duplex;
  readonly #peer = new PeerSettings();
  readonly #underWay = new Map<number, Stream>();
  /** Those that the other side takes no more of for now, in their order. */
  readonly #waiting = new Set<Stream>();
  /** How much it takes, of all messages together. */
  #window = DEFAULT_WINDOW;
  #nextId: number;
  /** It knows that we use no table. */
  #isTableGone = false;

  constructor(socket: Duplex, firstId: number) {
    this.#socket = socket;
    this.#nextId = firstId;
  }

  /** RFC 9113, section 5.1.1: ids are not used again. */
  get areUsedUp(): boolean {
    return this.#nextId > MAX_31_BITS;
  }

  isUnderWay(stream: Stream): boolean {
    return this.#underWay.get(stream.id) === stream;
  }

  /**
   * @returns undefined for a call that is over: nothing more is wanted of it, and things may still be on their way.
   * @throws ConnectionError where there was none (section 5.1).
   */
  find(id: number): Stream | undefined {
    if (id % 2 === 0 || id >= this.#nextId)
      throw protocolError(`a frame of stream ${id}, which there is not`);
    return this.#underWay.get(id);
  }

  add(stream: Stream): void {
    this.#waiting.add(stream);
    this.beginNext();
  }

  /**
   * It is over; the next may have its turn.
   * @param code what the other side is told, where it does not know.
   */
  remove(stream: Stream, code: number | null): void {
    if (this.#waiting.delete(stream) || !this.isUnderWay(stream)) return;
    this.#underWay.delete(stream.id);
    if (code !== null) this.#socket.write(frameOfWords(Type.RST_STREAM, stream.id, code));
    this.beginNext();
  }

  /** @param last only those after it, and those that wait. */
  removeAll(last = 0): Stream[] {
    const removed = [...[...this.#underWay.values()].filter(({ id }) => id > last), ...this.#waiting];
    for (const { id } of removed) this.#underWay.delete(id);
    this.#waiting.clear();
    return removed;
  }

  /** Settings hold for the calls that are under way, too (section 6.9.2). Nothing is sent yet by them: first they are acknowledged. */
  set(settings: Buffer): void {
    const before = this.#peer.window;
    this.#peer.take(settings);
    for (const stream of this.#underWay.values()) stream.widen(this.#peer.window - before);
  }

  /** What the settings allow by now. */
  goOn(): void {
    this.#sendAll();
    this.beginNext();
  }

  widen(by: number): void {
    if (by === 0) throw protocolError(NO_WIDER);
    this.#window += by;
    if (this.#window > MAX_31_BITS) {
      throw new ConnectionError(Code.FLOW_CONTROL_ERROR, 'a window that is too wide');
    }
    this.#sendAll();
  }

  widenOne(stream: Stream, by: number): void {
    if (by === 0) throw new StreamError(Code.PROTOCOL_ERROR, NO_WIDER);
    stream.widen(by);
    this.#sendMessage(stream);
  }

  beginNext(): void {
    for (const stream of this.#waiting) {
      if (this.#underWay.size >= this.#peer.maxStreams || this.areUsedUp) return;
      this.#waiting.delete(stream);
      stream.id = this.#nextId;
      this.#nextId += 2;
      this.#underWay.set(stream.id, stream);
      stream.widen(this.#peer.window);
      // Headers and message go out together.
      this.#socket.cork();
      const { maxFrameBytes } = this.#peer;
      for (const one of headersFrames(stream.id, this.#blockOf(stream), maxFrameBytes))
        this.#socket.write(one);
      this.#sendMessage(stream);
      this.#socket.uncork();
    }
  }

  /** Once is enough: a table of nothing cannot become too large again. */
  #blockOf({ block }: Stream): Buffer {
    if (this.#isTableGone || !this.#peer.hasSmallTable) return block;
    this.#isTableGone = true;
    return Buffer.concat([NO_TABLE, block]);
  }

  #sendAll(): void {
    for (const stream of this.#underWay.values()) this.#sendMessage(stream);
  }

  /** As much of it as both windows let through. */
  #sendMessage(stream: Stream): void {
    for (;;) {
      const piece = stream.take(Math.min(this.#window, this.#peer.maxFrameBytes));
      if (piece.length === 0) return;
      this.#window -= piece.length;
      this.#socket.write(frame(Type.DATA, stream.isSent ? Flag.END_STREAM : 0, stream.id, piece));
    }
  }
}

const NO_WIDER = 'a window that is wider by nothing';
