import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { withCertificates } from './fixture.ts';
import { ask, failureFrom, lineTo, outcome } from './wire-asking.ts';
import {
  ALLOWED,
  frame,
  GRPC,
  grpcHeaders,
  hasRequest,
  onRequest,
  overTls,
  reset,
  SETTINGS,
} from './wire-servers.ts';

const files = withCertificates();

describe('no answer is made of', () => {
  test('a portal that dies over its first request, which is then one that could have provoked it', async () => {
    await using server = await overTls(files(), (socket) => onRequest(socket, () => socket.destroy()));
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, true], failure.details);
  });

  test('a portal that says nothing and closes, and it has heard of no request', async () => {
    let heard = Buffer.alloc(0);
    await using server = await overTls(files(), (socket) => {
      socket.on('data', (chunk: Buffer) => {
        heard = Buffer.concat([heard, chunk]);
        setImmediate(() => socket.destroy());
      });
    });
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false], failure.details);
    assert.ok(heard.length > 0 && !hasRequest(heard));
  });

  const resets: Readonly<Record<number, number>> = {
    0: Status.INTERNAL,
    1: Status.INTERNAL,
    2: Status.INTERNAL,
    7: Status.UNAVAILABLE,
    8: Status.CANCELLED,
    11: Status.RESOURCE_EXHAUSTED,
    12: Status.PERMISSION_DENIED,
    13: Status.INTERNAL,
  };
  for (const [code, expected] of Object.entries(resets)) {
    test(`a stream that is reset with ${code}, at once and after the message`, async () => {
      const begun = [grpcHeaders(1), frame(0, 0, 1, ALLOWED)];
      for (const frames of [[], begun]) {
        await using server = await overTls(files(), (socket) => {
          const all = Buffer.concat([...frames, reset(1, Number(code))]);
          onRequest(socket, () => socket.write(all));
        });
        using line = lineTo(files(), [server.address]);
        const failure = (await ask(line)) as FailedAttempt;
        // What is reset without an error has ended, and lacks its status.
        const cut = code === '0' && frames.length > 0 ? Status.UNKNOWN : expected;
        assert.deepEqual(outcome(failure), [cut, true], failure.details);
        assert.equal(failure.fault, null);
        assert.equal(line.stands, true, 'of the connection it says nothing');
      }
    });
  }

  test('a connection that is lost at once, or after the message', async () => {
    const atOnce = await failureFrom(files(), (stream) => stream.session?.socket.destroy());
    assert.deepEqual([atOnce.code, atOnce.reached], [Status.UNAVAILABLE, true]);
    assert.ok(atOnce.fault !== null);
    const after = await failureFrom(files(), async (stream) => {
      stream.respond(GRPC);
      stream.write(ALLOWED);
      await sleep(20);
      stream.session?.destroy();
    });
    assert.deepEqual([after.code, after.reached], [Status.UNAVAILABLE, true]);
    assert.ok(after.fault !== null);
  });

  test('bytes that are not of HTTP/2', async () => {
    await using server = await overTls(files(), (socket) => {
      socket.write(SETTINGS);
      socket.once('data', () => socket.write('no frame at all, but long enough to look like some'));
    });
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual([failure.code, failure.reached], [Status.UNAVAILABLE, true], failure.details);
    assert.ok(failure.fault !== null);
  });
});

test('a stream that the portal begins by itself ends the connection, and is no answer', async () => {
  await using server = await overTls(files(), (socket) => {
    // PUSH_PROMISE of stream 2 on stream 1.
    socket.once('data', () =>
      socket.write(
        Buffer.concat([SETTINGS, frame(4, 1, 0), frame(5, 4, 1, Uint8Array.of(0, 0, 0, 2, 0x88))]),
      ),
    );
  });
  using line = lineTo(files(), [server.address]);
  assert.deepEqual(outcome(await ask(line)), [Status.UNAVAILABLE, true]);
});
