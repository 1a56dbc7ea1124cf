import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Code, ConnectionError } from '../../src/portal/http2/errors.ts';
import {
  contentOf,
  type Frame,
  FrameReader,
  frame,
  frameOfWords,
  headersFrames,
} from '../../src/portal/http2/frames.ts';

const fails = (code: number) => (error: unknown) => error instanceof ConnectionError && error.code === code;
const read = (reader: FrameReader, bytes: Uint8Array): Frame[] => [...reader.push(Buffer.from(bytes))];
const plain = ({ payload, ...rest }: Frame): object => ({ ...rest, payload: [...payload] });

const frames = fc.array(
  fc.record({
    type: fc.nat(255),
    flags: fc.nat(255),
    stream: fc.nat(0x7fff_ffff),
    payload: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 8 },
);

describe('frames', () => {
  test('are read as they were written, wherever their bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(3_000)), (all, cuts) => {
        const bytes = Buffer.concat(all.map((one) => frame(one.type, one.flags, one.stream, one.payload)));
        const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const reader = new FrameReader();
        const seen = at.slice(1).flatMap((end, i) => read(reader, bytes.subarray(at[i], end)));
        assert.deepEqual(
          seen.map(plain),
          all.map((one) => ({ ...one, payload: [...one.payload] })),
        );
      }),
    );
  });

  test('are read byte by byte, each as soon as it is whole', () => {
    const bytes = Buffer.concat([frame(4, 0, 0), frame(0, 1, 1, Buffer.alloc(16_384, 7)), frame(6, 0, 0)]);
    const reader = new FrameReader();
    const ends: number[] = [];
    bytes.forEach((byte, i) => {
      for (const _ of reader.push(Buffer.of(byte))) ends.push(i + 1);
    });
    assert.deepEqual(ends, [9, 18 + 16_384, 27 + 16_384]);
  });

  test('have a stream of 31 bits: the one before them says nothing', () => {
    const [one] = read(new FrameReader(), Buffer.from('000000040080000003', 'hex'));
    assert.equal(one?.stream, 3);
  });

  test('that are too long are refused as soon as they say so', () => {
    const reader = new FrameReader();
    assert.deepEqual(read(reader, Buffer.from('00400000', 'hex')), []);
    assert.deepEqual(read(reader, Buffer.from('0000000001', 'hex')), []);
    assert.throws(
      () => read(new FrameReader(), Buffer.from('004001000000000001', 'hex')),
      fails(Code.FRAME_SIZE_ERROR),
    );
    // After one that is well.
    const bytes = Buffer.concat([frame(4, 0, 0), Buffer.from('ffffff000000000001', 'hex')]);
    const seen: Frame[] = [];
    assert.throws(() => {
      for (const one of new FrameReader().push(bytes)) seen.push(one);
    }, fails(Code.FRAME_SIZE_ERROR));
    assert.equal(seen.length, 1);
  });

  test('of headers are as many as the other side’s limit makes of them', () => {
    const cut = (length: number, most: number): object[] =>
      read(new FrameReader(), Buffer.concat(headersFrames(5, Buffer.alloc(length), most))).map(
        ({ type, flags, stream, payload }) => [type, flags, stream, payload.length],
      );
    assert.deepEqual(cut(0, 10), [[1, 4, 5, 0]]);
    assert.deepEqual(cut(10, 10), [[1, 4, 5, 10]]);
    assert.deepEqual(cut(25, 10), [
      [1, 0, 5, 10],
      [9, 0, 5, 10],
      [9, 4, 5, 5],
    ]);
  });

  test('of numbers hold them', () => {
    assert.equal(frameOfWords(7, 0, 1, 0xffff_fffe).toString('hex'), '00000807000000000000000001fffffffe');
  });
});

describe('what is in a frame', () => {
  const of = (type: number, flags: number, payload: string): string =>
    contentOf({ type, flags, stream: 1, payload: Buffer.from(payload, 'hex') }).toString('hex');

  test('is all of it, without padding and priority', () => {
    assert.equal(of(0, 0, 'aabb'), 'aabb');
    assert.equal(of(0, 8, '00aabb'), 'aabb');
    assert.equal(of(0, 8, '01aabb'), 'aa');
    assert.equal(of(0, 8, '02aabb'), '');
    assert.equal(of(0, 0x20, 'aabb'), 'aabb', 'data has no priority');
    assert.equal(of(1, 0x20, '80000003ffaabb'), 'aabb');
    assert.equal(of(1, 0x28, '0180000003ffaabb'), 'aa');
    assert.equal(of(1, 0x28, '0080000003ff'), '');
  });

  test('is an error where there is more padding than frame', () => {
    for (const [type, flags, payload] of [
      [0, 8, '03aabb'],
      [0, 8, '01'],
      [1, 0x28, '0180000003ff'],
    ] as const) {
      assert.throws(() => of(type, flags, payload), fails(Code.PROTOCOL_ERROR));
    }
    for (const [type, flags, payload] of [
      [0, 8, ''],
      [1, 0x20, '80000003'],
      [1, 0x28, '0180000003'],
    ] as const) {
      assert.throws(() => of(type, flags, payload), fails(Code.FRAME_SIZE_ERROR));
    }
  });
});
