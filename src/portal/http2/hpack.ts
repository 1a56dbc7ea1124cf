import { Code, ConnectionError } from './errors.ts';
import { DynamicTable, type Field, MAX_TABLE_BYTES, STATIC, sizeOf } from './hpack-table.ts';
import { decodeHuffman } from './huffman.ts';

/**
 * Encodes what a call says. Fields that both sides know anyway are told by their number, all else in its letters: to remember and to
 * compress would cost more than the bytes that it spares (RFC 7541, sections 6.1 and 6.2.2).
 */
export function encodeFields(fields: readonly Field[]): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of fields) {
    const whole = STATIC.findIndex(([known, its]) => known === name && its === value);
    if (whole >= 0) {
      parts.push(integer(whole + 1, 7, 0x80));
      continue;
    }
    const known = STATIC.findIndex(([one]) => one === name);
    parts.push(integer(known + 1, 4, 0));
    if (known < 0) parts.push(...literal(name));
    parts.push(...literal(value));
  }
  return Buffer.concat(parts);
}

/** We remember nothing: what a list may begin with (section 6.3). */
export const NO_TABLE = Buffer.of(0x20);

function literal(text: string): [Buffer, Buffer] {
  return [integer(text.length, 7, 0), Buffer.from(text, 'latin1')];
}

/**
 * Section 5.1.
 * @param bits of the first byte that are the number's; the others are given.
 */
function integer(value: number, bits: number, given: number): Buffer {
  const most = (1 << bits) - 1;
  if (value < most) return Buffer.of(given | value);
  const bytes = [given | most];
  let rest = value - most;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** Decodes what the other side says; one for a connection, because what it says refers to what it has said. */
export class Decoder {
  readonly #table = new DynamicTable();

  /**
   * @param most bytes that the list may have, counted as section 4.1 does: a longer one is decoded to its end, because later ones may refer
   * to it, and not kept.
   * @returns the fields in their order, or null for a longer list.
   * @throws ConnectionError where it is not well encoded: from then on nothing can be.
   */
  decode(block: Buffer, most: number): Field[] | null {
    const reader = new Reader(block);
    const fields: Field[] = [];
    let bytes = 0;
    while (!reader.isAtEnd) {
      const first = reader.peek();
      if ((first & 0xe0) === 0x20) {
        // Section 4.2: only before the first field.
        if (bytes > 0) throw malformed('the size of a table in the middle of a list');
        const size = reader.integer(5);
        if (size > MAX_TABLE_BYTES) throw malformed(`a table of ${size} bytes`);
        this.#table.resize(size);
        continue;
      }
      const field = (first & 0x80) !== 0 ? this.#at(reader.integer(7)) : this.#literal(reader, first);
      bytes += sizeOf(field);
      if (bytes <= most) fields.push(field);
    }
    return bytes <= most ? fields : null;
  }

  /** Section 6.2: one that is to be remembered, one that is not, or one that nobody may remember. */
  #literal(reader: Reader, first: number): Field {
    const isRemembered = (first & 0x40) !== 0;
    const index = reader.integer(isRemembered ? 6 : 4);
    const name = index === 0 ? reader.text() : this.#at(index)[0];
    const field: Field = [name, reader.text()];
    if (isRemembered) this.#table.add(field);
    return field;
  }

  /** Section 2.3.3. */
  #at(index: number): Field {
    const field = index <= STATIC.length ? STATIC[index - 1] : this.#table.at(index - STATIC.length - 1);
    if (field === undefined) throw malformed(`field ${index}, which there is not`);
    return field;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  peek(): number {
    return this.#bytes[this.#at] ?? 0;
  }

  /** Section 5.1. More than a header block can hold is an error, however it is written. */
  integer(bits: number): number {
    const most = (1 << bits) - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    throw malformed('a number that is too large');
  }

  /** Section 5.2. A byte is a character, as everywhere in Node's HTTP. */
  text(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw malformed('a text that goes on after its end');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return (isHuffman ? decodeHuffman(bytes) : bytes).toString('latin1');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw malformed('an end in the middle of a field');
    this.#at++;
    return byte;
  }
}

function malformed(what: string): ConnectionError {
  return new ConnectionError(Code.COMPRESSION_ERROR, `headers with ${what}`);
}
