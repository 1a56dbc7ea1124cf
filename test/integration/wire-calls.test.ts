import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { framed } from '../../src/portal/message.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import { ALLOWED, answer, closed, GRPC, serving, text } from './wire-servers.ts';

const files = withCertificates();

describe('a call', () => {
  test('is asked and answered over TLS, and without', async () => {
    for (const plain of [false, true]) {
      await using server = await serving(files(), (stream) => answer(stream), { plain });
      using line = lineTo(plain ? null : files(), [server.address]);
      assert.equal(line.stands, false);
      for (let i = 0; i < 3; i++) assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
      assert.equal(line.stands, true);
      assert.equal(server.sessions.length, 1, 'one connection for all');
      for (const stream of server.streams) {
        await closed(stream);
        assert.equal(stream.rstCode, 0, 'none was reset');
      }
    }
  });

  test('says what gRPC wants to know', async () => {
    const seen: object[] = [];
    await using server = await serving(files(), (stream, headers) => {
      seen.push(headers);
      answer(stream);
    });
    using line = lineTo(files(), [server.address]);
    await ask(line, { metadata: { 'x-agent-id': 'vpn-1' }, budget: 4_000 });
    const {
      'grpc-timeout': timeout,
      'user-agent': agent,
      ...headers
    } = Object.fromEntries(Object.entries(seen[0] ?? {}));
    assert.match(timeout, /^3\d\d\dm$/);
    assert.match(agent, /^grpc-node-/);
    assert.deepEqual(headers, {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': text(server.address),
      ':path': '/vpn.v1.AuthService/CheckPolicy',
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': 'identity',
      'x-agent-id': 'vpn-1',
    });
  });

  test('says how long an error may be, so that a longer one ends that call and not the connection', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    using line = lineTo(files(), [server.address]);
    await ask(line);
    const { enablePush, maxHeaderListSize } = server.sessions[0]?.remoteSettings ?? {};
    assert.deepEqual({ enablePush, maxHeaderListSize }, { enablePush: false, maxHeaderListSize: 65_536 });
  });

  test('is answered by a message of a megabyte, and after informational headers', async () => {
    const large = Buffer.concat([Buffer.from([0x12, 0x80, 0x80, 0x40]), Buffer.alloc(1_048_576, 'x')]);
    await using server = await serving(files(), (stream) => {
      stream.additionalHeaders({ ':status': 103, 'grpc-status': '7' });
      answer(stream, { body: framed(Buffer.concat([Uint8Array.of(8, 1), large])) });
    });
    using line = lineTo(files(), [server.address]);
    const attempt = await ask(line);
    assert.ok('response' in attempt, JSON.stringify(attempt));
    assert.equal(attempt.response.allowed, true);
    assert.equal(attempt.response.denyReason.length, 1_048_576);
  });

  test('is answered where the message comes byte by byte', async () => {
    await using server = await serving(files(), async (stream) => {
      stream.respond(GRPC, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      for (const byte of ALLOWED) {
        stream.write(Uint8Array.of(byte));
        await sleep(5);
      }
      stream.end();
    });
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
  });
});

test('a call leaves no timer behind, however it ends', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  await using server = await serving(files(), (stream, { 'x-agent-id': id }) => {
    if (id === 'lost') stream.session?.socket.destroy();
    else if (id !== 'mute') answer(stream);
  });
  const before = timers();
  using line = lineTo(files(), [server.address, { host: '127.0.0.1', port: 1 }]);
  for (const [id, budget] of [
    ['well', 60_000],
    ['lost', 60_000],
    ['mute', 100],
    ['well', 60_000],
  ] as const) {
    await ask(line, { budget, retries: 1, metadata: { 'x-agent-id': id } });
    assert.equal(timers(), before, id);
  }
});

test('a line that is closed ends what is on its way, and asks no more', async () => {
  await using server = await serving(files(), () => {});
  using line = lineTo(files(), [server.address]);
  const asked = [ask(line, { retries: 1 }), ask(line, { retries: 1 })];
  while (server.streams.length < 2) await sleep(10);
  line.close();
  for (const attempt of await Promise.all(asked))
    assert.deepEqual(outcome(attempt), [Status.CANCELLED, true]);
  assert.equal(line.stands, false);
  const before = lineTo(files(), [server.address, server.address]);
  const early = ask(before, { retries: 1 });
  before.close();
  assert.deepEqual(outcome(await early), [Status.CANCELLED, false]);
  assert.deepEqual(outcome(await ask(before)), [Status.CANCELLED, false], 'nor does it begin anew');
  assert.equal(server.sessions.length, 1);
});

test('a header that HTTP/2 has not is a failure of that call alone', async () => {
  await using server = await serving(files(), (stream) => answer(stream));
  using line = lineTo(files(), [server.address]);
  const failure = (await ask(line, { metadata: { ':other': 'x' } })) as FailedAttempt;
  assert.equal(failure.code, Status.INTERNAL);
  assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
});
