import assert from 'node:assert/strict';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { listening } from './doctor-servers.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import { answer, overTls, parsed, serving, text } from './wire-servers.ts';

const files = withCertificates();

describe('a connection is not reached', () => {
  test('where nobody listens', async () => {
    using line = lineTo(files(), [{ host: '127.0.0.1', port: 1 }]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false]);
    assert.deepEqual(failure.fault?.codes, ['ECONNREFUSED']);
    assert.equal(line.stands, false);
  });

  test('where a name has several addresses that refuse, each of which is named', async () => {
    using line = lineTo(files(), [{ host: 'localhost', port: 1 }]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false]);
    for (const code of failure.fault?.codes ?? ['none']) assert.equal(code, 'ECONNREFUSED');
    assert.match(failure.details, /127\.0\.0\.1:1/);
  });

  test('where there is no such name', async () => {
    using line = lineTo(files(), [{ host: 'portal.invalid', port: 1 }]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false]);
    assert.match(failure.fault?.codes.join() ?? '', /^(ENOTFOUND|EAI_AGAIN)$/);
  });

  test('where somebody accepts and is silent, before TLS or after it; nothing is left of it', async () => {
    let open = 0;
    const count = (socket: Socket): void => {
      open++;
      socket.resume().on('close', () => open--);
    };
    await using mute = await listening(createServer(count));
    await using idle = await overTls(files(), count);
    for (const address of [parsed(mute.address), idle.address]) {
      using line = lineTo(files(), [address]);
      const failure = (await ask(line, { budget: 300 })) as FailedAttempt;
      assert.deepEqual(outcome(failure), [Status.DEADLINE_EXCEEDED, false]);
      assert.match(
        failure.details,
        new RegExp(`no connection to ${text(address)} within (?:300|2\\d\\d) ms`),
      );
      assert.equal(line.stands, false);
      for (let i = 0; i < 100 && open > 0; i++) await sleep(10);
      assert.equal(open, 0, 'it is closed without the line being so');
    }
  });

  for (const [what, options] of [
    ['no protocol', {}],
    ['HTTP/1.1', { ALPNProtocols: ['http/1.1'] }],
  ] as const) {
    test(`where TLS agrees on ${what}, and nothing is sent there`, async () => {
      let sent = 0;
      await using server = await overTls(files(), (socket) => socket.on('data', () => sent++), options);
      using line = lineTo(files(), [server.address]);
      const failure = (await ask(line)) as FailedAttempt;
      assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false]);
      assert.match(failure.fault?.codes.join() ?? '', /NO_HTTP2|ALERT_NO_APPLICATION_PROTOCOL/);
      await sleep(20);
      assert.equal(sent, 0);
    });
  }

  test('where a web server speaks HTTP/1.1 without TLS', async () => {
    await using web = await listening(createHttp1Server((_, response) => response.end('hello')));
    using line = lineTo(null, [parsed(web.address)]);
    assert.deepEqual(outcome(await ask(line)), [Status.UNAVAILABLE, false]);
  });

  test('where it is ended before it says anything', async () => {
    await using server = await overTls(files(), (socket) => socket.destroy());
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), [Status.UNAVAILABLE, false]);
  });

  test('where the certificate is for somebody else, unless the name is told; nothing is sent there', async () => {
    const authorities: unknown[] = [];
    const said: unknown[] = [];
    await using server = await serving(files(), (stream, headers) => {
      authorities.push(headers[':authority']);
      said.push((stream.session?.socket as TLSSocket | undefined)?.servername);
      answer(stream);
    });
    using wrong = lineTo(files(), [server.address], { serverName: 'portal.example' });
    const failure = (await ask(wrong)) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.UNAVAILABLE, false]);
    assert.deepEqual(failure.fault?.codes, ['ERR_TLS_CERT_ALTNAME_INVALID']);
    assert.equal(server.sessions.length, 0);
    for (const serverName of ['localhost', '127.0.0.1', '']) {
      using right = lineTo(files(), [server.address], { serverName });
      assert.deepEqual(outcome(await ask(right)), ['allowed', true], serverName);
    }
    assert.deepEqual(said, ['localhost', false, false], 'an IP address is no server name');
    assert.deepEqual(authorities, ['localhost', '127.0.0.1', text(server.address)]);
  });

  test('but is as soon as its settings come, however late', async () => {
    const http2 = createHttp2Server();
    http2.on('stream', (stream: ServerHttp2Stream) => answer(stream));
    await using server = await overTls(files(), (socket) =>
      setTimeout(() => http2.emit('connection', socket), 300),
    );
    using line = lineTo(files(), [server.address]);
    const asked = [ask(line), ask(line, { budget: 100 }), ask(line)];
    await sleep(50);
    assert.equal(line.stands, false);
    assert.deepEqual((await Promise.all(asked)).map(outcome), [
      ['allowed', true],
      [Status.DEADLINE_EXCEEDED, false],
      ['allowed', true],
    ]);
  });
});
