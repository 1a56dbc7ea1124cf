import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Status } from '../../src/portal/grpc-status.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import { answer, overTls, serving } from './wire-servers.ts';

const files = withCertificates();

describe('many calls at once', () => {
  test('go over one connection', async () => {
    await using server = await serving(files(), async (stream) => {
      await sleep(20);
      answer(stream);
    });
    using line = lineTo(files(), [server.address]);
    const asked = Array.from({ length: 100 }, () => ask(line));
    for (const attempt of await Promise.all(asked)) assert.deepEqual(outcome(attempt), ['allowed', true]);
    assert.equal(server.sessions.length, 1);
  });

  test('are no more than the portal takes, the first with the rest', async () => {
    let [now, most] = [0, 0];
    await using server = await serving(
      files(),
      async (stream) => {
        most = Math.max(most, ++now);
        await sleep(20);
        now--;
        answer(stream);
      },
      { settings: { maxConcurrentStreams: 1 } },
    );
    using line = lineTo(files(), [server.address]);
    const asked = Array.from({ length: 6 }, () => ask(line));
    for (const attempt of await Promise.all(asked)) assert.deepEqual(outcome(attempt), ['allowed', true]);
    assert.equal(most, 1);
  });

  test('that wait for their turn are lost with the connection, and each by its own deadline', async () => {
    const http2 = createHttp2Server({ settings: { maxConcurrentStreams: 1 } });
    const sockets: TLSSocket[] = [];
    await using server = await overTls(files(), (socket) => {
      sockets.push(socket);
      http2.emit('connection', socket);
    });
    using line = lineTo(files(), [server.address]);
    const first = ask(line);
    const late = ask(line, { budget: 300 });
    const third = ask(line);
    assert.deepEqual(outcome(await late), [Status.DEADLINE_EXCEEDED, true]);
    // Below the server's HTTP/2, which would say goodbye.
    sockets[0]?.destroy();
    for (const lost of await Promise.all([first, third])) {
      assert.deepEqual(outcome(lost), [Status.UNAVAILABLE, true]);
    }
  });
});
