import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import {
  allowed,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEAD,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  literal,
  MAX_FRAME_SIZE,
  PADDED,
  PING,
  RST_STREAM,
  settings,
  speaking,
  TAIL,
  WINDOW_UPDATE,
  widen,
} from './wire-peer.ts';
import { ALLOWED, frame, goaway, grpcHeaders, reset, SETTINGS } from './wire-servers.ts';

const files = withCertificates();

const PROTOCOL_ERROR = 1;
const FLOW_CONTROL_ERROR = 3;
const FRAME_SIZE_ERROR = 6;
const COMPRESSION_ERROR = 9;

const head = (block: Uint8Array, flags = END_HEADERS, stream = 1): Buffer =>
  frame(HEADERS, flags, stream, block);

describe('the connection is left, and the portal told why, where it sends', () => {
  const cases: Readonly<Record<string, readonly [frames: readonly Uint8Array[], code: number]>> = {
    'a frame that is too long': [[Buffer.from('004001000000000001', 'hex')], FRAME_SIZE_ERROR],
    'an answer that nobody asked for': [[frame(5, 4, 1, Buffer.from('0000000288', 'hex'))], PROTOCOL_ERROR],
    'headers of a stream that there is not': [[head(HEAD, END_HEADERS, 3)], PROTOCOL_ERROR],
    'headers of a stream of its own': [[head(HEAD, END_HEADERS, 2)], PROTOCOL_ERROR],
    'headers of no stream': [[head(HEAD, END_HEADERS, 0)], PROTOCOL_ERROR],
    'data of a stream that there is not': [[frame(DATA, 0, 3, ALLOWED)], PROTOCOL_ERROR],
    'data of no stream': [[frame(DATA, 0, 0, ALLOWED)], PROTOCOL_ERROR],
    'the end of a stream that there is not': [[reset(3, 0)], PROTOCOL_ERROR],
    'the end of a stream, in five bytes': [[frame(RST_STREAM, 0, 1, Buffer.alloc(5))], FRAME_SIZE_ERROR],
    'a window of a stream that there is not': [[widen(3, 1)], PROTOCOL_ERROR],
    'a window that is wider by nothing': [[widen(0, 0)], PROTOCOL_ERROR],
    'a window that is too wide': [[widen(0, 2 ** 31 - 1)], FLOW_CONTROL_ERROR],
    'a window in three bytes': [[frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3))], FRAME_SIZE_ERROR],
    'settings of a stream': [[frame(4, 0, 1)], PROTOCOL_ERROR],
    'settings that are not whole': [[frame(4, 0, 0, Buffer.alloc(7))], FRAME_SIZE_ERROR],
    'settings that are taken and still say something': [[frame(4, 1, 0, Buffer.alloc(6))], FRAME_SIZE_ERROR],
    'settings of a window that is too wide': [[settings([INITIAL_WINDOW_SIZE, 2 ** 31])], FLOW_CONTROL_ERROR],
    'settings that make a stream’s window too wide': [
      [widen(1, 2 ** 31 - 65_536), settings([INITIAL_WINDOW_SIZE, 100_000])],
      FLOW_CONTROL_ERROR,
    ],
    'settings of frames that are too short': [[settings([MAX_FRAME_SIZE, 16_383])], PROTOCOL_ERROR],
    'settings of frames that are too long': [[settings([MAX_FRAME_SIZE, 2 ** 24])], PROTOCOL_ERROR],
    'settings by which it would be pushed to': [[settings([2, 1])], PROTOCOL_ERROR],
    'a ping of a stream': [[frame(PING, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
    'a ping in seven bytes': [[frame(PING, 0, 0, Buffer.alloc(7))], FRAME_SIZE_ERROR],
    'a goodbye of a stream': [[frame(7, 0, 1, Buffer.alloc(8))], PROTOCOL_ERROR],
    'a goodbye in seven bytes': [[frame(7, 0, 0, Buffer.alloc(7))], FRAME_SIZE_ERROR],
    'more padding than frame': [[frame(DATA, PADDED, 1, Buffer.of(9, 0))], PROTOCOL_ERROR],
    'the rest of headers that have not begun': [[frame(CONTINUATION, 4, 1, HEAD)], PROTOCOL_ERROR],
    'something in the middle of headers': [
      [head(HEAD, 0), frame(PING, 0, 0, Buffer.alloc(8))],
      PROTOCOL_ERROR,
    ],
    'the rest of other headers': [[head(HEAD, 0), frame(CONTINUATION, 4, 3)], PROTOCOL_ERROR],
    'headers that cannot be decoded': [[head(Buffer.of(0x80))], COMPRESSION_ERROR],
    'such headers of a call that is over': [[reset(1, 8), head(Buffer.of(0x80))], COMPRESSION_ERROR],
  };
  for (const [what, [frames, code]] of Object.entries(cases)) {
    test(what, async () => {
      let told: number | null = null;
      await using server = await speaking(files(), async (peer) => {
        peer.send(SETTINGS);
        await peer.next(DATA);
        peer.send(...frames, allowed(1));
        told = await peer.goodbye();
      });
      using line = lineTo(files(), [server.address]);
      const failure = (await ask(line)) as FailedAttempt;
      const isCancelled = frames.some(
        (one) => one[3] === RST_STREAM && one.length === 13 && code === COMPRESSION_ERROR,
      );
      assert.deepEqual(outcome(failure), [isCancelled ? Status.CANCELLED : Status.UNAVAILABLE, true]);
      if (!isCancelled) assert.deepEqual(failure.fault?.codes, ['HTTP2_VIOLATION'], failure.details);
      line.close();
      await server.spoken();
      assert.equal(told, code);
      assert.equal(line.stands, false);
    });
  }

  test('something else before its settings: it has not been reached', async () => {
    for (const first of [frame(PING, 0, 0, Buffer.alloc(8)), frame(4, 1, 0), goaway(0, 0)]) {
      await using server = await speaking(files(), (peer) => peer.send(first, SETTINGS));
      using line = lineTo(files(), [server.address]);
      const failure = (await ask(line)) as FailedAttempt;
      assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false]);
      // Who turns everybody away does speak HTTP/2.
      assert.deepEqual(failure.fault?.codes, [first[3] === GOAWAY ? 'GOAWAY' : 'HTTP2_VIOLATION']);
    }
  });

  for (const [what, size] of [
    ['headers without an end', 16_384],
    ['headers without an end, and without content', 0],
  ] as const) {
    test(what, async () => {
      await using server = await speaking(files(), async (peer) => {
        peer.send(SETTINGS);
        await peer.next(HEADERS);
        peer.send(head(Buffer.alloc(0), 0));
        const piece = frame(CONTINUATION, 0, 1, Buffer.alloc(size, 'x'));
        const many = Buffer.concat(Array.from({ length: size === 0 ? 2_000 : 4 }, () => piece));
        while (!peer.socket.destroyed) {
          if (peer.socket.write(many)) continue;
          await new Promise<void>((resolve) => {
            for (const event of ['drain', 'close']) peer.socket.once(event, () => resolve());
          });
        }
      });
      using line = lineTo(files(), [server.address]);
      const failure = (await ask(line)) as FailedAttempt;
      assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, true]);
      // How far the portal gets before it hears of it is the system's to say.
      assert.equal(failure.details, 'it sent headers that do not end');
      await server.spoken();
    });
  }
});

describe('a call alone fails where its answer has', () => {
  const ok = Buffer.of(0x88);
  const cases: Readonly<Record<string, readonly [frames: readonly Uint8Array[], code?: number]>> = {
    'a message before its headers': [[frame(DATA, 0, 1, ALLOWED)]],
    'no status': [[head(literal('content-type', 'application/grpc'))]],
    'a status after the rest': [[head(Buffer.concat([literal('a', 'b'), ok]))]],
    'two statuses': [[head(Buffer.concat([ok, ok]))]],
    'a name in upper case': [[head(Buffer.concat([HEAD, literal('X-Agent', 'a')]))]],
    'a line feed in a value': [[head(Buffer.concat([HEAD, literal('a', 'b\nc')]))]],
    'a word for a connection of HTTP/1': [[head(Buffer.concat([HEAD, literal('connection', 'close')]))]],
    'trailers that are not its end': [[grpcHeaders(1), frame(DATA, 0, 1, ALLOWED), head(TAIL)]],
    'a status in its trailers': [
      [grpcHeaders(1), frame(DATA, 0, 1, ALLOWED), head(Buffer.concat([ok, TAIL]), END_HEADERS | END_STREAM)],
    ],
    'nothing but informational headers': [[head(literal(':status', '100'), END_HEADERS | END_STREAM)]],
    'another protocol': [[head(literal(':status', '101'))]],
    'a window that is wider by nothing': [[widen(1, 0)]],
    'a window that is too wide': [[widen(1, 2 ** 31 - 1)], FLOW_CONTROL_ERROR],
  };
  for (const [what, [frames, code = PROTOCOL_ERROR]] of Object.entries(cases)) {
    test(what, async () => {
      await using server = await speaking(files(), async (peer) => {
        peer.send(SETTINGS);
        await peer.next(HEADERS);
        peer.send(...frames);
        const told = await peer.next(RST_STREAM);
        assert.deepEqual([told?.stream, told?.payload.readUInt32BE(0)], [1, code]);
        await peer.next(HEADERS);
        peer.send(allowed(3));
      });
      using line = lineTo(files(), [server.address]);
      const failure = (await ask(line)) as FailedAttempt;
      assert.deepEqual(outcome(failure), [Status.INTERNAL, true]);
      assert.match(failure.details, /^the portal sent /);
      assert.equal(failure.fault, null);
      assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
      assert.equal(server.connections, 1);
    });
  }
});

test('thirty thousand pings are answered, and the call too', async () => {
  const many = 30_000;
  await using server = await speaking(files(), async (peer) => {
    peer.send(SETTINGS);
    await peer.next(HEADERS);
    const ping = frame(PING, 0, 0, Buffer.alloc(8));
    peer.send(Buffer.concat(Array.from({ length: many }, () => ping)));
    const answered = await peer.sofar(PING);
    assert.equal(answered.length, many);
    peer.send(allowed(1));
  });
  using line = lineTo(files(), [server.address]);
  assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
});
