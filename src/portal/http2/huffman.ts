import { Code, ConnectionError } from './errors.ts';

/**
 * How many bits the code of each byte has, and of the end, which is last (RFC 7541, appendix B): `5` to `9`, then `a` for 10 up to `u` for
 * 30. The codes follow from it, because among the codes of one length they count up with the bytes, and from each length to the next.
 */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';

const END = 256;
const SHORTEST = 5;
const LONGEST = 30;

interface Codes {
  /** All of them, in the order of their codes. */
  readonly symbols: Uint16Array;
  /** By length: the first code of it, how many there are, and where they begin among the symbols. */
  readonly first: Uint32Array;
  readonly count: Uint16Array;
  readonly start: Uint16Array;
}

/** Made when the first such text comes, by whoever asks the portal at all. */
let codes: Codes | null = null;

function makeCodes(): Codes {
  const count = new Uint16Array(LONGEST + 1);
  const lengths = [...LENGTHS].map((letter) => Number.parseInt(letter, 36));
  for (const length of lengths) count[length] = (count[length] ?? 0) + 1;
  const first = new Uint32Array(LONGEST + 1);
  const start = new Uint16Array(LONGEST + 1);
  for (let length = SHORTEST + 1; length <= LONGEST; length++) {
    const before = count[length - 1] ?? 0;
    first[length] = ((first[length - 1] ?? 0) + before) << 1;
    start[length] = (start[length - 1] ?? 0) + before;
  }
  const symbols = new Uint16Array(lengths.length);
  const next = start.slice();
  lengths.forEach((length, symbol) => {
    const at = next[length] ?? 0;
    symbols[at] = symbol;
    next[length] = at + 1;
  });
  return { symbols, first, count, start };
}

/** @throws ConnectionError where it is not well encoded. */
export function decodeHuffman(bytes: Uint8Array): Buffer {
  codes ??= makeCodes();
  const { symbols, first, count, start } = codes;
  // No code is shorter than five bits.
  const decoded = Buffer.allocUnsafe(Math.floor((bytes.length * 8) / SHORTEST));
  let size = 0;
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1);
      length++;
      if (length < SHORTEST) continue;
      const offset = code - (first[length] ?? 0);
      if (offset >= (count[length] ?? 0)) continue;
      const symbol = symbols[(start[length] ?? 0) + offset] ?? END;
      if (symbol === END) throw malformed('the end, encoded');
      decoded[size++] = symbol;
      code = 0;
      length = 0;
    }
  }
  // Section 5.2: what is left of the last byte is the beginning of the end's code, which is all ones.
  if (length > 7 || code !== (1 << length) - 1) throw malformed('padding that is none');
  return decoded.subarray(0, size);
}

function malformed(what: string): ConnectionError {
  return new ConnectionError(Code.COMPRESSION_ERROR, `a header with ${what}`);
}
