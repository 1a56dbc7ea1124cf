import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { framed, MAX_MESSAGE_BYTES, MessageReader, type Read } from '../../src/portal/message.ts';

/** As if it had come in pieces that end at these places. */
function readIn(pieces: readonly number[], bytes: Uint8Array): Read {
  const reader = new MessageReader();
  const ends = [...pieces.map((at) => at % (bytes.length + 1)), 0, bytes.length].sort((a, b) => a - b);
  for (const [i, end] of ends.slice(1).entries()) reader.push(bytes.subarray(ends[i], end));
  return reader.read();
}

function frameOf(flag: number, length: number, content: Uint8Array): Uint8Array {
  const frame = framed(content);
  frame.writeUInt8(flag, 0);
  frame.writeUInt32BE(length, 1);
  return frame;
}

const message = fc.uint8Array({ maxLength: 300 });
const pieces = fc.array(fc.nat(), { maxLength: 6 });

describe('a message on a stream', () => {
  test('is a byte that says that it is not compressed, its length, and itself', () => {
    assert.deepEqual([...framed(Uint8Array.of(7, 8))], [0, 0, 0, 0, 2, 7, 8]);
    assert.deepEqual([...framed(new Uint8Array())], [0, 0, 0, 0, 0]);
    assert.equal(framed(new Uint8Array(0x010203)).readUInt32BE(1), 0x010203);
  });

  test('is read as it was written, in whatever pieces it comes', () => {
    fc.assert(
      fc.property(message, pieces, (content, at) => {
        const read = readIn(at, framed(content));
        assert.ok(read.kind === 'one');
        assert.deepEqual([...read.message], [...content]);
      }),
    );
  });

  test('is none where nothing came', () => {
    assert.deepEqual(new MessageReader().read(), { kind: 'none' });
  });

  test('is truncated where any of it is missing', () => {
    fc.assert(
      fc.property(message, fc.nat(), pieces, (content, cut, at) => {
        const whole = framed(content);
        const part = whole.subarray(0, 1 + (cut % (whole.length - 1)));
        assert.deepEqual(readIn(at, part), { kind: 'truncated' });
      }),
    );
  });

  test('is not the only one where anything follows it', () => {
    fc.assert(
      fc.property(message, fc.uint8Array({ minLength: 1, maxLength: 20 }), pieces, (content, more, at) => {
        const bytes = Buffer.concat([framed(content), more]);
        assert.deepEqual(readIn(at, bytes), { kind: 'several' });
      }),
    );
  });

  test('is told from one that is compressed, and from what is marked as neither', () => {
    const read = readIn([], frameOf(1, 1, Uint8Array.of(7)));
    assert.ok(read.kind === 'compressed');
    assert.deepEqual([...read.message], [7]);
    for (const flag of [2, 0x80, 0xff]) {
      assert.deepEqual(readIn([], frameOf(flag, 1, Uint8Array.of(7))), { kind: 'garbled' });
    }
  });

  test('may have 4 MiB, and no byte more, whether it comes or is only announced', () => {
    const greatest = framed(new Uint8Array(MAX_MESSAGE_BYTES));
    assert.equal(readIn([1_000_000, 3], greatest).kind, 'one');
    assert.deepEqual(readIn([], frameOf(0, MAX_MESSAGE_BYTES + 1, new Uint8Array(1))), { kind: 'too large' });
    assert.deepEqual(readIn([], frameOf(0, 0xffff_ffff, new Uint8Array(1))), { kind: 'too large' });
    const reader = new MessageReader();
    assert.equal(reader.push(greatest), true);
    assert.equal(reader.push(Uint8Array.of(0)), false);
    assert.deepEqual(reader.read(), { kind: 'too large' });
  });
});
