import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { METHODS } from '../../src/portal/methods.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import {
  allowed,
  DATA,
  END_STREAM,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_FRAME_SIZE,
  PADDED,
  type Peer,
  RST_STREAM,
  type Seen,
  settings,
  speaking,
  trailers,
  WINDOW_UPDATE,
  widen,
} from './wire-peer.ts';
import { frame, grpcHeaders, SETTINGS } from './wire-servers.ts';

const files = withCertificates();

/** gRPC's five bytes, and the message of somebody of that name. */
function messageOf(username: string): Buffer {
  const request = { username, groupname: '', clientIp: '', vpnIp: '', sessionId: '', device: '' };
  const message = METHODS.checkPolicy.encode({ ...request, requestTime: undefined });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const lengths = (frames: readonly Seen[]): number[] => frames.map(({ payload }) => payload.length);
const isEnd = (one: Seen): boolean => (one.flags & END_STREAM) !== 0;

describe('of its message a call sends no more than the portal takes', () => {
  test('where that is a byte at a time', async () => {
    const pieces: Seen[] = [];
    await using server = await speaking(files(), async (peer) => {
      peer.send(settings([INITIAL_WINDOW_SIZE, 1]));
      for (;;) {
        const piece = await peer.next(DATA);
        if (piece === null) return;
        pieces.push(piece);
        if (isEnd(piece)) break;
        peer.send(widen(1, 1));
      }
      peer.send(allowed(1));
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    assert.deepEqual(new Set(lengths(pieces)), new Set([1]));
    assert.deepEqual(Buffer.concat(pieces.map(({ payload }) => payload)), messageOf('alice'));
    assert.deepEqual(pieces.map(isEnd).indexOf(true), pieces.length - 1);
  });

  test('where the portal takes less in the middle of it, and owes nothing for a while', async () => {
    const seen: number[][] = [];
    await using server = await speaking(files(), async (peer) => {
      const step = async (): Promise<void> => {
        seen.push(lengths(await peer.sofar(DATA)));
      };
      peer.send(settings([INITIAL_WINDOW_SIZE, 4]));
      await peer.next(HEADERS);
      await step();
      // Four have come, and only one may: three less than nothing.
      peer.send(settings([INITIAL_WINDOW_SIZE, 1]));
      await step();
      peer.send(widen(1, 3));
      await step();
      peer.send(widen(1, 2));
      await step();
      peer.send(settings([INITIAL_WINDOW_SIZE, 65_535]));
      await step();
      peer.send(allowed(1));
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    assert.deepEqual(seen, [[4], [], [], [2], [messageOf('alice').length - 6]]);
  });

  test('where the connection takes less than the stream, in frames of the size that the portal takes', async () => {
    const username = 'x'.repeat(90_000);
    const all: Seen[] = [];
    await using server = await speaking(files(), async (peer) => {
      peer.send(settings([INITIAL_WINDOW_SIZE, 1_000_000], [MAX_FRAME_SIZE, 20_000]));
      await peer.next(HEADERS);
      const before = await peer.sofar(DATA);
      assert.deepEqual(lengths(before), [20_000, 20_000, 20_000, 5_535]);
      assert.ok(!before.some(isEnd));
      peer.send(widen(0, 100_000));
      const after = await peer.sofar(DATA);
      all.push(...before, ...after);
      assert.deepEqual(after.map(isEnd), [false, true]);
      peer.send(allowed(1));
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line, { username })), ['allowed', true]);
    assert.deepEqual(Buffer.concat(all.map(({ payload }) => payload)), messageOf(username));
  });
});

/** Sends as much as the client takes, by its own word. */
class Pump {
  readonly #peer: Peer;
  readonly #windows = new Map<number, number>();

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  open(id: number, window: number): void {
    this.#windows.set(id, window);
  }

  /** A frame, once there is room for it on the stream and on the connection. */
  async send(stream: number, payload: Uint8Array, flags: number): Promise<void> {
    while (Math.min(this.#left(0), this.#left(stream)) < payload.length) {
      const more = await this.#peer.next(WINDOW_UPDATE);
      assert.ok(more !== null, 'the client has gone');
      this.#add(more.stream, more.payload.readUInt32BE(0));
    }
    this.#add(0, -payload.length);
    this.#add(stream, -payload.length);
    this.#peer.send(frame(DATA, flags, stream, payload));
  }

  #left(id: number): number {
    return this.#windows.get(id) ?? 0;
  }

  #add(id: number, bytes: number): void {
    this.#windows.set(id, this.#left(id) + bytes);
  }
}

/** What the client lets us send before anybody says anything more: by its settings, and of the connection. */
async function windowsOf(peer: Peer): Promise<{ stream: number; connection: number }> {
  const [greeting, more] = [await peer.next(4), await peer.next(WINDOW_UPDATE)];
  assert.ok(greeting !== null && more !== null && more.stream === 0);
  let stream = 65_535;
  for (let at = 0; at < greeting.payload.length; at += 6) {
    if (greeting.payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE)
      stream = greeting.payload.readUInt32BE(at + 2);
  }
  return { stream, connection: 65_535 + more.payload.readUInt32BE(0) };
}

describe('the portal may go on to send', () => {
  test('where a message of four megabytes comes in small frames, most of them padding', async () => {
    const text = 4 * 1024 * 1024 - 100;
    const head = Buffer.alloc(5 + 2 + 5);
    head.writeUInt32BE(2 + 5 + text, 1);
    // `allowed`, then the reason: its length in four bytes of seven bits.
    head.set(
      [8, 1, 0x12, (text & 127) | 128, ((text >> 7) & 127) | 128, ((text >> 14) & 127) | 128, text >> 21],
      5,
    );
    const message = Buffer.concat([head, Buffer.alloc(text, 'x')]);
    let sent = 0;
    await using server = await speaking(files(), async (peer) => {
      peer.send(SETTINGS);
      const { stream, connection } = await windowsOf(peer);
      const pump = new Pump(peer);
      pump.open(0, connection);
      pump.open(1, stream);
      peer.send(grpcHeaders(1));
      for (let at = 0; at < message.length; at += 150) {
        const content = message.subarray(at, at + 150);
        const padded = Buffer.concat([Buffer.of(255), content, Buffer.alloc(255)]);
        await pump.send(1, padded, PADDED);
        sent += padded.length;
      }
      assert.ok(sent > connection && sent > stream, 'the windows had to be widened');
      peer.send(trailers(1));
    });
    using line = lineTo(files(), [server.address]);
    const attempt = await ask(line, { budget: 60_000 });
    assert.ok('response' in attempt, JSON.stringify(attempt));
    assert.equal(attempt.response.denyReason.length, text);
  });

  test('after what it sent for calls that were over', async () => {
    await using server = await speaking(files(), async (peer) => {
      peer.send(SETTINGS);
      const { stream, connection } = await windowsOf(peer);
      const pump = new Pump(peer);
      pump.open(0, connection);
      await peer.next(HEADERS);
      peer.send(allowed(1));
      for (let id = 3; id <= 7; id += 2) {
        await peer.next(HEADERS);
        await peer.next(RST_STREAM);
        pump.open(id, stream);
        for (let sent = 0; sent < stream; sent += 16_384) {
          await pump.send(id, Buffer.alloc(Math.min(16_384, stream - sent)), 0);
        }
      }
      await peer.next(HEADERS);
      peer.send(allowed(9));
    });
    using line = lineTo(files(), [server.address]);
    await ask(line);
    for (let i = 0; i < 3; i++) await ask(line, { budget: 60 });
    assert.deepEqual(outcome(await ask(line, { budget: 30_000 })), ['allowed', true]);
    assert.equal(server.connections, 1);
  });
});
