import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { CLOSED_BY_US, type Fault } from '../../src/portal/fault.ts';
import { frame, frameOfWords } from '../../src/portal/http2/frames.ts';
import { encodeFields } from '../../src/portal/http2/hpack.ts';
import { Session } from '../../src/portal/http2/session.ts';
import type { Caller, End } from '../../src/portal/http2/stream.ts';

/** A connection whose other end is the test. */
class Wire extends Duplex {
  readonly written: Buffer[] = [];
  /** Nobody takes what is written. */
  isStuck = false;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: unknown, done: () => void): void {
    this.written.push(chunk);
    if (!this.isStuck) done();
  }
}

interface Spoken {
  readonly wire: Wire;
  readonly session: Session;
  readonly events: string[];
  readonly faults: Fault[];
  readonly ends: End[];
  call(): void;
}

const HEADERS = { ':method': 'POST', ':scheme': 'https', ':authority': 'portal', ':path': '/a/b' };

function speak(firstId?: number): Spoken {
  const wire = new Wire();
  const events: string[] = [];
  const faults: Fault[] = [];
  const ends: End[] = [];
  const session: Session = new Session(
    wire,
    {
      reached: () => events.push('reached'),
      leaving: () => events.push('leaving'),
      failed: (fault) => {
        faults.push(fault);
        session.close(fault);
        wire.destroy();
      },
    },
    firstId,
  );
  const caller: Caller = { answered: () => {}, received: () => {}, over: (end) => ends.push(end) };
  const call = (): unknown => session.call(HEADERS, Buffer.from('message'), caller);
  return { wire, session, events, faults, ends, call };
}

const SETTINGS = frame(4, 0, 0);
const PING = frame(6, 0, 0, Buffer.alloc(8));

describe('a session', () => {
  test('greets in one piece, and makes a call in one', async () => {
    const { wire, call } = speak();
    const writes: number[] = [];
    wire._writev = (chunks, done) => {
      writes.push(chunks.length);
      done();
    };
    assert.equal(wire.written.length, 1);
    call();
    assert.deepEqual(writes, [2], 'headers and data');
    wire.push(Buffer.concat([SETTINGS, PING, PING]));
    await turn();
    assert.deepEqual(writes, [2, 3], 'what is answered to what came together goes together');
  });

  test('takes no further call once its ids are used up', () => {
    const { session, events, ends, call } = speak(2 ** 31 - 3);
    call();
    assert.equal(session.isOpen, true);
    call();
    assert.equal(session.isOpen, false);
    assert.deepEqual([events, ends], [['leaving'], []], 'those that are under way may end');
    call();
    assert.deepEqual(ends, [{ kind: 'untaken' }]);
  });

  test('reads nothing from whoever makes it answer and does not listen', async () => {
    const { wire, events, faults } = speak();
    wire.isStuck = true;
    wire.push(SETTINGS);
    const many = Buffer.concat(Array.from({ length: 4_000 }, () => PING));
    for (let i = 0; i < 100; i++) {
      wire.push(many);
      await turn();
    }
    assert.deepEqual([events, faults], [['reached'], []]);
    assert.ok(wire.isPaused());
    assert.ok(wire.writableLength < 512 * 1024, `${wire.writableLength}`);
    wire.isStuck = false;
    wire.destroy();
  });

  test('tells nobody anything more of a call that is cancelled, and nobody of nothing', async () => {
    const { wire, session } = speak();
    const told: string[] = [];
    const stream = session.call(HEADERS, Buffer.from('message'), {
      answered: () => told.push('answered'),
      received: (chunk) => {
        told.push(`received ${chunk}`);
        session.cancel(stream);
      },
      over: () => told.push('over'),
    });
    const head = frame(1, 4, 1, encodeFields([[':status', '200']]));
    wire.push(Buffer.concat([SETTINGS, head, frame(0, 0, 1), frame(0, 1, 1, Buffer.from('all'))]));
    await turn();
    assert.deepEqual(told, ['answered', 'received all']);
    assert.deepEqual(wire.written.at(-1), frameOfWords(3, 1, 8));
  });

  test('that is closed says goodbye, tells each call, and takes no more', () => {
    const { wire, session, ends, call } = speak();
    call();
    session.close(CLOSED_BY_US);
    session.close(CLOSED_BY_US);
    call();
    const lost = { kind: 'lost', fault: CLOSED_BY_US };
    assert.deepEqual(ends, [lost, lost]);
    assert.deepEqual(wire.written.at(-1), frameOfWords(7, 0, 0, 0));
  });

  test('whose owner fails is at an end, and nobody hears an exception', async () => {
    const wire = new Wire();
    const faults: Fault[] = [];
    const session: Session = new Session(wire, {
      reached: () => {
        throw new Error('a mistake of ours');
      },
      leaving: () => {},
      failed: (fault) => {
        faults.push(fault);
        session.close(fault);
      },
    });
    wire.push(SETTINGS);
    await turn();
    assert.deepEqual(
      faults.map(({ text }) => text),
      ['a mistake of ours'],
    );
    assert.deepEqual(wire.written.at(-1), frameOfWords(7, 0, 0, 2));
  });
});

describe('whatever comes, a session', () => {
  /** Frames that mean something, of which the streams are those of two calls or nearly so. */
  const block = encodeFields([
    [':status', '200'],
    ['content-type', 'application/grpc'],
  ]);
  const payload = fc.oneof(
    fc.constantFrom(
      block,
      encodeFields([['grpc-status', '0']]),
      Buffer.alloc(0),
      Buffer.alloc(4),
      Buffer.alloc(8, 1),
    ),
    fc.uint8Array({ maxLength: 40 }),
  );
  const sensible = fc
    .record({
      type: fc.nat(10),
      flags: fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.nat(255)),
      stream: fc.constantFrom(0, 1, 1, 3, 3, 2, 5),
      payload,
    })
    .map((one) => frame(one.type, one.flags, one.stream, one.payload));
  const answer = fc.constantFrom(1, 3).map((id) => frame(1, 4, id, block));
  const goodbye = fc.constantFrom(0, 1, 3).map((last) => frameOfWords(7, 0, last, 0));
  const input = fc.tuple(
    fc.constantFrom(SETTINGS, SETTINGS, SETTINGS, Buffer.alloc(0)),
    fc.array(
      fc.oneof(
        sensible,
        sensible,
        answer,
        goodbye,
        fc.uint8Array({ maxLength: 30 }).map((one) => Buffer.from(one)),
      ),
    ),
    fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 3 }),
    fc.integer({ min: 1, max: 50 }),
  );

  test('goes on or ends with a fault, each call ends once, and nothing is thrown', async () => {
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(input, async ([first, frames, flips, size]) => {
        const { wire, session, events, faults, ends, call } = speak();
        wire.on('error', (error) => assert.fail(error));
        call();
        call();
        const bytes = Buffer.concat([first, ...frames]);
        for (const [at, value] of flips) if (at < bytes.length) bytes[at] = value;
        for (let at = 0; at < bytes.length; at += size) wire.push(bytes.subarray(at, at + size));
        await turn();
        assert.ok(faults.length <= 1 && ends.length <= 2 && events.length <= 40);
        assert.equal(session.isOpen, faults.length === 0 && !events.includes('leaving'));
        for (const { kind } of ends) kinds.add(kind);
        session.close(CLOSED_BY_US);
        assert.equal(ends.length, 2);
        wire.destroy();
      }),
      { numRuns: 3_000 },
    );
    // That it is put to the test at all.
    assert.deepEqual([...kinds].sort(), ['answered', 'lost', 'malformed', 'reset', 'untaken']);
  });
});
