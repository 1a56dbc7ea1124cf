import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import {
  allowed,
  END_HEADERS,
  END_STREAM,
  HEAD,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  literal,
  MAX_CONCURRENT_STREAMS,
  PADDED,
  PING,
  RST_STREAM,
  settings,
  speaking,
  TAIL,
  trailers,
  widen,
} from './wire-peer.ts';
import { ALLOWED, answer, frame, goaway, grpcHeaders, reset, SETTINGS, serving } from './wire-servers.ts';

const files = withCertificates();

describe('a call', () => {
  test('waits where the portal takes none, and one after another where it takes one', async () => {
    const seen: number[][] = [];
    await using server = await speaking(files(), async (peer) => {
      const step = async (): Promise<void> => {
        seen.push((await peer.sofar(HEADERS)).map(({ stream }) => stream));
      };
      peer.send(settings([MAX_CONCURRENT_STREAMS, 0]));
      await step();
      peer.send(settings([MAX_CONCURRENT_STREAMS, 1]));
      await step();
      peer.send(settings([MAX_CONCURRENT_STREAMS, 0]));
      peer.send(allowed(1));
      await step();
      peer.send(settings([MAX_CONCURRENT_STREAMS, 100]));
      await step();
      peer.send(allowed(5), allowed(3));
    });
    using line = lineTo(files(), [server.address]);
    const asked = [ask(line), ask(line), ask(line)];
    for (const one of await Promise.all(asked)) assert.deepEqual(outcome(one), ['allowed', true]);
    assert.deepEqual(seen, [[], [1], [], [3, 5]]);
  });

  test('that nobody waits for any more is not made', async () => {
    const { promise: late, resolve: end } = Promise.withResolvers<void>();
    await using server = await speaking(files(), async (peer) => {
      peer.send(settings([MAX_CONCURRENT_STREAMS, 0]));
      await late;
      peer.send(settings([MAX_CONCURRENT_STREAMS, 10]));
      const begun = await peer.sofar(HEADERS, RST_STREAM);
      assert.deepEqual(
        begun.map(({ type, stream }) => [type, stream]),
        [[HEADERS, 1]],
      );
      peer.send(allowed(1));
    });
    using line = lineTo(files(), [server.address]);
    const first = ask(line, { budget: 100 }).finally(end);
    const second = ask(line);
    assert.deepEqual(outcome(await first), [Status.DEADLINE_EXCEEDED, true]);
    assert.deepEqual(outcome(await second), ['allowed', true]);
  });

  test('is answered where the portal says goodbye twice, or goes over a new connection', async () => {
    await using server = await speaking(files(), async (peer, which) => {
      peer.send(SETTINGS);
      if (which > 1) {
        await peer.next(HEADERS);
        peer.send(allowed(1));
        return;
      }
      await peer.next(HEADERS);
      await peer.next(HEADERS);
      peer.send(goaway(2 ** 31 - 1, 0), goaway(1, 0));
      await peer.sofar();
      peer.send(allowed(1));
      assert.equal(await peer.goodbye(), 0, 'it is left when the last call has ended');
    });
    using line = lineTo(files(), [server.address]);
    const asked = [ask(line), ask(line)];
    for (const one of await Promise.all(asked)) assert.deepEqual(outcome(one), ['allowed', true]);
    assert.equal(server.connections, 2);
    await server.spoken();
  });

  test('that the portal refuses as it goes was not begun with, and goes over a new connection', async () => {
    await using server = await speaking(files(), async (peer, which) => {
      peer.send(SETTINGS);
      await peer.next(HEADERS);
      if (which > 1) peer.send(allowed(1));
      else peer.send(goaway(2 ** 31 - 1, 0), reset(1, 7));
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });

  test('that is answered before its message is taken is ended, and the next has its turn', async () => {
    await using server = await speaking(files(), async (peer) => {
      peer.send(settings([INITIAL_WINDOW_SIZE, 0], [MAX_CONCURRENT_STREAMS, 1]));
      await peer.next(HEADERS);
      peer.send(grpcHeaders(1), frame(HEADERS, END_HEADERS | END_STREAM, 1, literal('grpc-status', '7')));
      const told = await peer.next(RST_STREAM);
      assert.deepEqual([told?.stream, told?.payload.readUInt32BE(0)], [1, 8]);
      await peer.next(HEADERS);
      peer.send(settings([INITIAL_WINDOW_SIZE, 100]), allowed(3));
    });
    using line = lineTo(files(), [server.address]);
    const [first, second] = await Promise.all([ask(line), ask(line)]);
    assert.deepEqual(outcome(first), [Status.PERMISSION_DENIED, true]);
    assert.deepEqual(outcome(second), ['allowed', true]);
    await server.spoken();
  });

  test('is answered once, whatever comes for it afterwards', async () => {
    await using server = await speaking(files(), async (peer) => {
      peer.send(SETTINGS);
      await peer.next(HEADERS);
      const later = [
        reset(1, 0),
        reset(1, 2),
        widen(1, 5),
        grpcHeaders(1),
        frame(0, 1, 1, ALLOWED),
        trailers(1),
      ];
      peer.send(allowed(1), ...later);
      await peer.next(HEADERS);
      peer.send(allowed(3));
    });
    using line = lineTo(files(), [server.address]);
    for (let i = 0; i < 2; i++) assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    assert.equal(server.connections, 1);
  });

  test('is answered with padding, priorities, and whatever else nobody needs to understand', async () => {
    await using server = await speaking(files(), async (peer) => {
      peer.send(settings([99, 1], [1, 0], [6, 10]));
      await peer.next(HEADERS);
      const head = Buffer.concat([Buffer.of(7), Buffer.from('8000000010', 'hex'), HEAD, Buffer.alloc(7)]);
      const body = Buffer.concat([Buffer.of(3), ALLOWED, Buffer.alloc(3)]);
      peer.send(
        frame(0x2, 0, 1, Buffer.from('00000000ff', 'hex')),
        frame(0xa, 0, 0, Buffer.from('a proxy speaks of others')),
        frame(0xfe, 0xff, 17, Buffer.alloc(3)),
        frame(HEADERS, END_HEADERS | PADDED | 0x20, 1, head),
        frame(0, 0, 1),
        frame(0, PADDED, 1, body),
        frame(PING, 1, 0, Buffer.from('not ours')),
        frame(4, 1, 0),
        trailers(1),
      );
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });

  test('is answered in headers that come byte by byte, and compressed', async () => {
    await using server = await speaking(files(), async (peer) => {
      peer.send(SETTINGS);
      await peer.next(HEADERS);
      const bytes = [...HEAD].map((byte) => Uint8Array.of(byte));
      peer.send(
        ...bytes.map((byte, i) => frame(i === 0 ? 1 : 9, i === HEAD.length - 1 ? END_HEADERS : 0, 1, byte)),
        frame(0, 0, 1, ALLOWED),
        trailers(1),
      );
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });

  test('is answered after informational headers', async () => {
    await using server = await speaking(files(), async (peer) => {
      peer.send(SETTINGS);
      await peer.next(HEADERS);
      const early = [100, 103, 199].map((status) =>
        frame(
          HEADERS,
          END_HEADERS,
          1,
          Buffer.concat([literal(':status', `${status}`), literal('grpc-status', '7')]),
        ),
      );
      peer.send(...early, allowed(1));
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });
});

test('a connection that nobody calls over is left as soon as the portal says goodbye', async () => {
  await using server = await speaking(files(), async (peer, which) => {
    peer.send(SETTINGS);
    await peer.next(HEADERS);
    peer.send(allowed(1));
    if (which > 1) return;
    await sofar;
    peer.send(goaway(1, 0));
    assert.equal(await peer.goodbye(), 0);
    left();
  });
  const { promise: sofar, resolve: answered } = Promise.withResolvers<void>();
  const { promise: gone, resolve: left } = Promise.withResolvers<void>();
  using line = lineTo(files(), [server.address]);
  assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  answered();
  await gone;
  assert.equal(line.stands, false);
  assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
});

test('headers of more than 64 KiB end their own call, and what they want remembered is', async () => {
  await using server = await speaking(files(), async (peer) => {
    peer.send(SETTINGS);
    await peer.next(HEADERS);
    await peer.next(HEADERS);
    // The content type is to be remembered (RFC 7541, section 6.2.1), and then much follows.
    const type = literal('content-type', 'application/grpc');
    const block = Buffer.concat([Buffer.of(0x88, 0x40), type.subarray(1), literal('x', 'y'.repeat(70_000))]);
    const pieces: Buffer[] = [];
    for (let at = 0; at < block.length; at += 16_000) {
      const flags = at + 16_000 >= block.length ? END_HEADERS : 0;
      pieces.push(frame(at === 0 ? 1 : 9, flags, 1, block.subarray(at, at + 16_000)));
    }
    peer.send(...pieces);
    const told = await peer.next(RST_STREAM);
    assert.equal(told?.stream, 1);
    // 62: the one that is remembered.
    const remembered = frame(HEADERS, END_HEADERS, 3, Buffer.of(0x88, 0x80 | 62));
    peer.send(remembered, frame(0, 0, 3, ALLOWED), frame(HEADERS, 5, 3, TAIL));
  });
  using line = lineTo(files(), [server.address]);
  const [long, other] = await Promise.all([ask(line), ask(line)]);
  assert.deepEqual(outcome(long), [Status.INTERNAL, true]);
  assert.match((long as FailedAttempt).details, /headers of more than 64 KiB/);
  assert.equal((long as FailedAttempt).fault, null);
  assert.deepEqual(outcome(other), ['allowed', true]);
  assert.equal(line.stands, true);
});

test('what no header can hold is refused before anything is sent', async () => {
  await using server = await serving(files(), (stream) => answer(stream));
  using line = lineTo(files(), [server.address]);
  for (const metadata of [{ x: 'a\nb' }, { x: 'a\0' }, { x: 'ł' }, { X: 'a' }, { 'a b': 'c' }]) {
    const failure = (await ask(line, { metadata })) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.INTERNAL, true]);
    assert.equal(failure.fault, null);
  }
  assert.equal(server.streams.length, 0);
  assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
});
