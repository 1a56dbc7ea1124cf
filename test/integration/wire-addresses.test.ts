import assert from 'node:assert/strict';
import { connect, createServer, type LookupFunction } from 'node:net';
import { describe, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt, Line } from '../../src/portal/line.ts';
import { keys, listening } from './doctor-servers.ts';
import { withCertificates } from './fixture.ts';
import { type Answers, ask, lineTo, outcome } from './wire-asking.ts';
import { answer, goaway, onRequest, overTls, parsed, serving } from './wire-servers.ts';

const files = withCertificates();

describe('of several addresses', () => {
  test('the next is called where one refuses, is silent, or speaks something else', async () => {
    await using mute = await listening(createServer(() => {}));
    await using other = await overTls(files(), () => {}, {});
    await using server = await serving(files(), (stream) => answer(stream));
    const addresses = [{ host: '127.0.0.1', port: 1 }, parsed(mute.address), other.address, server.address];
    using line = lineTo(files(), addresses);
    assert.deepEqual(outcome(await ask(line, { budget: 2_000 })), ['allowed', true]);
    assert.deepEqual(outcome(await ask(line, { budget: 200 })), ['allowed', true], 'it is known now');
    assert.equal(server.sessions.length, 1);
  });

  test('a lost call is asked again at the next, once', async () => {
    const lose: Answers = (stream) => stream.close(0x7);
    await using first = await serving(files(), lose);
    await using second = await serving(files(), lose);
    await using third = await serving(files(), (stream) => answer(stream));
    using line = lineTo(files(), [first.address, second.address, third.address]);
    const failure = (await ask(line, { retries: 1 })) as FailedAttempt;
    assert.deepEqual([failure.code, failure.address], [Status.UNAVAILABLE, second.address]);
    assert.deepEqual(
      [first, second, third].map(({ streams }) => streams.length),
      [1, 1, 0],
    );
  });

  test('a failure that is none of the connection is not asked again', async () => {
    await using server = await serving(files(), (stream) => stream.close(0x2));
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line, { retries: 1 })), [Status.INTERNAL, true]);
    assert.equal(server.streams.length, 1);
  });
});

/** A line to a name whose records are these. */
function lineToName(
  port: number,
  ips: readonly string[],
  rest: readonly { readonly host: string; readonly port: number }[] = [],
): { readonly line: Line & Disposable; lookups(): number } {
  let asked = 0;
  const resolve: LookupFunction = (_, __, done) => {
    asked++;
    const found = ips.map((address) => ({ address, family: 4 }));
    process.nextTick(done, null, found);
  };
  const line = lineTo(files(), [{ host: 'portal.test', port }, ...rest], {
    resolve,
    serverName: 'localhost',
  });
  return { line, lookups: () => asked };
}

describe('of several records of one name', () => {
  test('the next is called where one refuses, is silent, closes, or speaks something else', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const { port } = server.address;
    const seen: string[] = [];
    const closing = createServer((socket) => socket.destroy());
    const http = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await using _mute = await listening(
      createServer(() => seen.push('mute')),
      { host: '127.0.0.3', port },
    );
    await using _closing = await listening(closing, { host: '127.0.0.4', port });
    await using _http = await listening(http, { host: '127.0.0.5', port });
    const ips = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.1'];
    const { line, lookups } = lineToName(port, ips);
    using _ = line;
    assert.deepEqual(outcome(await ask(line, { budget: 2_000 })), ['allowed', true]);
    assert.deepEqual(outcome(await ask(line, { budget: 200 })), ['allowed', true], 'it is known now');
    assert.deepEqual([server.sessions.length, seen, lookups()], [1, ['mute'], 1]);
  });

  test('the next is called by all calls that had waited for the one before', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const { port } = server.address;
    await using _mute = await listening(
      createServer(() => {}),
      { host: '127.0.0.2', port },
    );
    const { line, lookups } = lineToName(port, ['127.0.0.2', '127.0.0.1']);
    using _ = line;
    const asked = await Promise.all([1, 2, 3].map(() => ask(line, { budget: 1_000 })));
    assert.deepEqual(asked.map(outcome), Array(3).fill(['allowed', true]));
    assert.deepEqual([server.sessions.length, lookups()], [1, 1]);
  });

  test('silent ones leave the next address its share', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const port = server.address.port;
    const mute = (): Parameters<typeof listening>[0] => createServer(() => {});
    await using _one = await listening(mute(), { host: '127.0.0.2', port });
    await using _other = await listening(mute(), { host: '127.0.0.3', port });
    const next = await listening(mute(), { host: '127.0.0.4', port });
    await using _next = next;
    const { line } = lineToName(port, ['127.0.0.2', '127.0.0.3'], [parsed(next.address), server.address]);
    using _ = line;
    assert.deepEqual(outcome(await ask(line, { budget: 900 })), ['allowed', true]);
  });

  for (const ips of [
    ['127.0.0.1', '127.0.0.2'],
    ['127.0.0.2', '127.0.0.1'],
  ]) {
    // Which of them is silent because this machine had no time to hear it, nobody knows yet.
    test(`silence is a failure of time, whatever the other does (${ips.join()})`, async () => {
      await using mute = await listening(createServer(() => {}));
      const { line, lookups } = lineToName(parsed(mute.address).port, ips);
      using _ = line;
      assert.deepEqual(outcome(await ask(line, { budget: 400 })), [Status.DEADLINE_EXCEEDED, false]);
      assert.equal(lookups(), 1);
    });
  }

  test('all that refuse are a portal that is not there', async () => {
    await using server = await listening(createServer(() => {}));
    const { line } = lineToName(parsed(server.address).port, ['127.0.0.2', '127.0.0.3']);
    using _ = line;
    assert.deepEqual(outcome(await ask(line)), [Status.UNAVAILABLE, false]);
  });

  test('one that speaks while this process gets no time is heard', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const { port } = server.address;
    await using front = await listening(
      createServer((socket) => {
        socket.once('data', (hello: Buffer) => {
          const end = performance.now() + 1_700;
          while (performance.now() < end);
          const portal = connect(port, '127.0.0.1');
          portal.write(hello);
          socket.pipe(portal).pipe(socket);
        });
      }),
      { host: '127.0.0.2', port },
    );
    assert.ok(front);
    const { line } = lineToName(port, ['127.0.0.2', '127.0.0.3']);
    using _ = line;
    assert.deepEqual(outcome(await ask(line, { budget: 3_000 })), ['allowed', true]);
  });

  test('the longest wait counts, not that of the call that connected', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const { promise: found, resolve: find } = Promise.withResolvers<void>();
    const resolve: LookupFunction = (_, __, done) => {
      const records = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
      found.then(() => done(null, records));
    };
    const addresses = [{ host: 'portal.test', port: server.address.port }];
    using line = lineTo(files(), addresses, { resolve, serverName: 'localhost' });
    const short = ask(line, { budget: 60 }).finally(find);
    const long = ask(line);
    assert.deepEqual(outcome(await short), [Status.DEADLINE_EXCEEDED, false]);
    assert.deepEqual(outcome(await long), ['allowed', true]);
  });

  test('one that says goodbye at once leaves calls to the next', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const { port } = server.address;
    let asked = 0;
    const leaving = createTlsServer({ ...keys(files()), ALPNProtocols: ['h2'] }, (socket) => {
      asked++;
      socket.on('error', () => {});
      onRequest(socket, () => socket.end(goaway(0, 0)));
    });
    await using _leaving = await listening(leaving, { host: '127.0.0.2', port });
    const { line } = lineToName(port, ['127.0.0.2', '127.0.0.1']);
    using _ = line;
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    assert.equal(asked, 1);
  });

  test('a name is looked up anew for a new connection', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    const { line, lookups } = lineToName(server.address.port, ['127.0.0.1']);
    using _ = line;
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    server.sessions[0]?.destroy();
    assert.deepEqual(outcome(await ask(line, { retries: 1 })), ['allowed', true]);
    assert.equal(lookups(), 2);
  });
});
