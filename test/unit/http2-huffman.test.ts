import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Code, ConnectionError } from '../../src/portal/http2/errors.ts';
import { decodeHuffman } from '../../src/portal/http2/huffman.ts';

/** RFC 7541, appendix B, in hexadecimal: the codes of the bytes in their order, and of the end. */
const CODES = `
  1ff8 7fffd8 fffffe2 fffffe3 fffffe4 fffffe5 fffffe6 fffffe7 fffffe8 ffffea 3ffffffc fffffe9 fffffea 3ffffffd
  fffffeb fffffec fffffed fffffee fffffef ffffff0 ffffff1 ffffff2 3ffffffe ffffff3 ffffff4 ffffff5 ffffff6
  ffffff7 ffffff8 ffffff9 ffffffa ffffffb 14 3f8 3f9 ffa 1ff9 15 f8 7fa 3fa 3fb f9 7fb fa 16 17 18 0 1 2 19 1a
  1b 1c 1d 1e 1f 5c fb 7ffc 20 ffb 3fc 1ffa 21 5d 5e 5f 60 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f 70 71
  72 fc 73 fd 1ffb 7fff0 1ffc 3ffc 22 7ffd 3 23 4 24 5 25 26 27 6 74 75 28 29 2a 7 2b 76 2c 8 9 2d 77 78 79 7a
  7b 7ffe 7fc 3ffd 1ffd ffffffc fffe6 3fffd2 fffe7 fffe8 3fffd3 3fffd4 3fffd5 7fffd9 3fffd6 7fffda 7fffdb
  7fffdc 7fffdd 7fffde ffffeb 7fffdf ffffec ffffed 3fffd7 7fffe0 ffffee 7fffe1 7fffe2 7fffe3 7fffe4 1fffdc
  3fffd8 7fffe5 3fffd9 7fffe6 7fffe7 ffffef 3fffda 1fffdd fffe9 3fffdb 3fffdc 7fffe8 7fffe9 1fffde 7fffea
  3fffdd 3fffde fffff0 1fffdf 3fffdf 7fffeb 7fffec 1fffe0 1fffe1 3fffe0 1fffe2 7fffed 3fffe1 7fffee 7fffef
  fffea 3fffe2 3fffe3 3fffe4 7ffff0 3fffe5 3fffe6 7ffff1 3ffffe0 3ffffe1 fffeb 7fff1 3fffe7 7ffff2 3fffe8
  1ffffec 3ffffe2 3ffffe3 3ffffe4 7ffffde 7ffffdf 3ffffe5 fffff1 1ffffed 7fff2 1fffe3 3ffffe6 7ffffe0 7ffffe1
  3ffffe7 7ffffe2 fffff2 1fffe4 1fffe5 3ffffe8 3ffffe9 ffffffd 7ffffe3 7ffffe4 7ffffe5 fffec fffff3 fffed
  1fffe6 3fffe9 1fffe7 1fffe8 7ffff3 3fffea 3fffeb 1ffffee 1ffffef fffff4 fffff5 3ffffea 7ffff4 3ffffeb
  7ffffe6 3ffffec 3ffffed 7ffffe7 7ffffe8 7ffffe9 7ffffea 7ffffeb ffffffe 7ffffec 7ffffed 7ffffee 7ffffef
  7fffff0 3ffffee 3fffffff`
  .trim()
  .split(/\s+/)
  .map((code) => Number.parseInt(code, 16));

/** Of the same appendix: how many bits they have. The greater a code, the longer. */
const BITS: readonly (readonly [bits: number, count: number])[] = [
  [5, 10],
  [6, 26],
  [7, 32],
  [8, 6],
  [10, 5],
  [11, 3],
  [12, 2],
  [13, 6],
  [14, 2],
  [15, 3],
  [19, 3],
  [20, 8],
  [21, 13],
  [22, 26],
  [23, 29],
  [24, 12],
  [25, 4],
  [26, 15],
  [27, 19],
  [28, 29],
  [30, 4],
];
const END = 256;

const lengths = BITS.flatMap(([bits, count]) => Array.from({ length: count }, () => bits));
const bitsOf = new Map(
  [...CODES.entries()]
    .sort(([, one], [, other]) => one - other)
    .map(([symbol, code], i) => [symbol, code.toString(2).padStart(lengths[i] ?? 0, '0')]),
);

function encoded(symbols: readonly number[], padding = '1'): Buffer {
  const bits = symbols.map((symbol) => bitsOf.get(symbol) ?? '').join('');
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, padding);
  return Buffer.from((whole.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

const isMalformed = (error: unknown): boolean =>
  error instanceof ConnectionError && error.code === Code.COMPRESSION_ERROR;

describe('a text in Huffman codes', () => {
  test('is decoded, whatever byte it is of', () => {
    assert.equal(CODES.length, 257);
    assert.equal(bitsOf.size, 257);
    for (let byte = 0; byte < 256; byte++) {
      assert.deepEqual(decodeHuffman(encoded([byte])), Buffer.of(byte), `${byte}`);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        assert.deepEqual(decodeHuffman(encoded([...bytes])), Buffer.from(bytes));
      }),
    );
    assert.deepEqual(decodeHuffman(Buffer.alloc(0)), Buffer.alloc(0));
  });

  test('is none where it holds the end', () => {
    for (const symbols of [[END], [0x61, END], [END, 0x61], [0x61, 0x62, END, 0x63]]) {
      assert.throws(() => decodeHuffman(encoded(symbols)), isMalformed);
    }
  });

  test('is none where it is padded with anything but ones, or with a whole byte of them', () => {
    // `a` has five bits: three are left.
    assert.throws(() => decodeHuffman(encoded([0x61], '0')), isMalformed);
    assert.throws(() => decodeHuffman(Buffer.of(0b00011_110)), isMalformed);
    assert.throws(() => decodeHuffman(Buffer.of(0b00011_011)), isMalformed);
    assert.throws(() => decodeHuffman(Buffer.concat([encoded([0x61]), Buffer.of(0xff)])), isMalformed);
    assert.throws(() => decodeHuffman(Buffer.of(0xff)), isMalformed);
    for (const bytes of [2, 3, 4, 5, 8]) {
      assert.throws(() => decodeHuffman(Buffer.alloc(bytes, 0xff)), isMalformed);
    }
  });

  test('is a text or such an error, whatever bytes it is made of, and never longer than it can be', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          assert.ok(decodeHuffman(bytes).length <= (bytes.length * 8) / 5);
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
