import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import { answer, goaway, overTls, SETTINGS, serving } from './wire-servers.ts';

const files = withCertificates();

describe('a portal that goes', () => {
  test('lets calls end that are on their way, and takes no new ones over that connection', async () => {
    await using server = await serving(files(), async (stream) => {
      if (server.streams.length === 1) stream.session?.goaway(0, stream.id);
      await sleep(100);
      answer(stream);
    });
    using line = lineTo(files(), [server.address]);
    const first = ask(line);
    await sleep(60);
    assert.equal(line.stands, false);
    const second = ask(line);
    assert.deepEqual((await Promise.all([first, second])).map(outcome), [
      ['allowed', true],
      ['allowed', true],
    ]);
    assert.equal(server.sessions.length, 2);
    assert.equal(line.stands, true);
  });

  test('is left by a connection that has nothing to do any more', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    using line = lineTo(files(), [server.address]);
    await ask(line);
    const [session] = server.sessions;
    assert.ok(session);
    const gone = once(session, 'close');
    session.close();
    await gone;
    assert.equal(line.stands, false);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });

  test('has not begun with calls that wait for their turn: they go over a new connection', async () => {
    await using server = await serving(
      files(),
      async (stream) => {
        if (server.streams.length === 1) stream.session?.goaway(0, 2 ** 31 - 1);
        await sleep(50);
        answer(stream);
      },
      { settings: { maxConcurrentStreams: 1 } },
    );
    using line = lineTo(files(), [server.address]);
    const asked = Array.from({ length: 5 }, () => ask(line));
    for (const attempt of await Promise.all(asked)) {
      assert.deepEqual(outcome(attempt), ['allowed', true], JSON.stringify(attempt));
    }
    assert.deepEqual([server.sessions.length, server.streams.length], [2, 5]);
  });

  test('has not seen calls that came after the last it names: they go over a new connection', async () => {
    await using server = await leaving(1);
    using line = lineTo(files(), [server.address]);
    const asked = Array.from({ length: 3 }, () => ask(line));
    for (const attempt of await Promise.all(asked)) {
      assert.deepEqual(outcome(attempt), ['allowed', true], JSON.stringify(attempt));
    }
    assert.equal(server.connections, 2);
  });

  test('whenever it is called is UNAVAILABLE, and asked again', async () => {
    await using server = await leaving(4);
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual([failure.code, failure.reached], [Status.UNAVAILABLE, true], failure.details);
    assert.match(failure.details, /has not begun with the call/);
    assert.equal(server.connections, 4);
    await using other = await leaving(4);
    using again = lineTo(files(), [other.address]);
    assert.deepEqual(outcome(await ask(again, { retries: 1 })), ['allowed', true]);
    assert.equal(other.connections, 5);
  });

  test('in anger takes its calls along', async () => {
    await using server = await overTls(files(), (socket) =>
      socket.once('data', () => socket.write(Buffer.concat([SETTINGS, goaway(0, 0xb)]))),
    );
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, true]);
    assert.match(failure.details, /HTTP\/2's code 11/);
    assert.equal(line.stands, false);
  });

  test('without a word is noticed while nobody calls', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    using line = lineTo(files(), [server.address]);
    await ask(line);
    assert.equal(line.stands, true);
    server.sessions[0]?.socket.destroy();
    for (let i = 0; i < 100 && line.stands; i++) await sleep(10);
    assert.equal(line.stands, false);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });
});

/** A portal that ends so many connections as soon as it is called, and has seen none of the calls. */
async function leaving(times: number) {
  let connections = 0;
  const http2 = createHttp2Server();
  http2.on('stream', (stream: ServerHttp2Stream) => answer(stream));
  const server = await overTls(files(), (socket) => {
    if (connections++ >= times) http2.emit('connection', socket);
    else socket.once('data', () => socket.write(Buffer.concat([SETTINGS, goaway(0, 0)])));
  });
  return {
    ...server,
    get connections() {
      return connections;
    },
  };
}
