import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { framed } from '../../src/portal/message.ts';
import { listening } from './doctor-servers.ts';
import { withPortal } from './fixture.ts';
import {
  ALLOWED,
  answer,
  ask,
  closed,
  frame,
  GRPC,
  goaway,
  grpcHeaders,
  lineTo,
  outcome,
  overTls,
  parsed,
  reset,
  SETTINGS,
  serving,
  text,
  type Ways,
} from './wire-servers.ts';

const { files } = withCertificates();

/** The certificates of a portal, without it. */
function withCertificates() {
  const fixture = withPortal({});
  return { files: () => fixture.certificates };
}

type Answers = (stream: ServerHttp2Stream) => void;

async function failureFrom(answers: Answers, ways: Ways = {}, budget = 5_000): Promise<FailedAttempt> {
  await using server = await serving(files(), answers, ways);
  using line = lineTo(ways.plain ? null : files(), [server.address]);
  const attempt = await ask(line, { budget });
  assert.ok(!('response' in attempt), 'it is an answer');
  return attempt;
}

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

describe('no answer is made of', () => {
  const none = { body: null } as const;
  const cases: Readonly<Record<string, readonly [Answers, code: number, details: RegExp]>> = {
    'an error in trailers alone': [
      (stream) => stream.respond({ ...GRPC, 'grpc-status': '7', 'grpc-message': 'no' }, { endStream: true }),
      Status.PERMISSION_DENIED,
      /^no$/,
    ],
    'an error after a message that lets in': [
      (stream) => answer(stream, { trailers: { 'grpc-status': '13', 'grpc-message': 'oh' } }),
      Status.INTERNAL,
      /^oh$/,
    ],
    'an error whose text is encoded': [
      (stream) => answer(stream, { trailers: { 'grpc-status': '9', 'grpc-message': 'J%C3%B6rg 100%25' } }),
      Status.FAILED_PRECONDITION,
      /^Jörg 100%$/,
    ],
    'an error whose text is hostile': [
      (stream) => answer(stream, { trailers: { 'grpc-status': '9', 'grpc-message': '%FF%0a%zz%' } }),
      Status.FAILED_PRECONDITION,
      /^\ufffd\n%zz%$/,
    ],
    'OK in trailers alone': [
      (stream) => stream.respond({ ...GRPC, 'grpc-status': '0' }, { endStream: true }),
      Status.UNIMPLEMENTED,
      /sent no message/,
    ],
    'OK without a message': [(stream) => answer(stream, none), Status.UNIMPLEMENTED, /sent no message/],
    'OK with two messages': [
      (stream) => answer(stream, { body: Buffer.concat([ALLOWED, ALLOWED]) }),
      Status.UNIMPLEMENTED,
      /more than one/,
    ],
    'OK with a part of a message': [
      (stream) => answer(stream, { body: ALLOWED.subarray(0, -1) }),
      Status.INTERNAL,
      /not whole/,
    ],
    'OK with a message that is marked as compressed and is not': [
      (stream) => answer(stream, { body: Buffer.concat([Uint8Array.of(1), ALLOWED.subarray(1)]) }),
      Status.INTERNAL,
      /cannot be decompressed/,
    ],
    'OK with a message that is larger than it may be': [
      (stream) => answer(stream, { body: framed(new Uint8Array(4 * 1024 * 1024 + 1)) }),
      Status.RESOURCE_EXHAUSTED,
      /larger than 4 MiB/,
    ],
    'OK with what is no such message': [
      (stream) => answer(stream, { body: framed(Uint8Array.of(8, 1, 0x12, 0xff, 0xff)) }),
      Status.INTERNAL,
      /cannot be read/,
    ],
    'a message and no trailers': [
      (stream) => answer(stream, { trailers: null }),
      Status.UNKNOWN,
      /without a grpc-status/,
    ],
    'a message and OK before it': [
      (stream) => answer(stream, { headers: { ...GRPC, 'grpc-status': '0' }, trailers: null }),
      Status.UNKNOWN,
      /without a grpc-status/,
    ],
    'a message and trailers that do not say OK': [
      (stream) => answer(stream, { trailers: { 'x-other': '0' } }),
      Status.UNKNOWN,
      /without a grpc-status/,
    ],
    'a status in words': [
      (stream) => answer(stream, { trailers: { 'grpc-status': 'OK' } }),
      Status.UNKNOWN,
      /no number: OK/,
    ],
    'a page': [
      (stream) => answer(stream, { headers: { ':status': 200, 'content-type': 'text/html' } }),
      Status.UNKNOWN,
      /HTTP status 200, content-type text\/html/,
    ],
    'a page that says that there is none': [
      (stream) =>
        answer(stream, { headers: { ':status': 404, 'content-type': 'text/html' }, trailers: null }),
      Status.UNIMPLEMENTED,
      /HTTP status 404/,
    ],
    'a proxy that finds nobody': [
      (stream) => stream.respond({ ':status': 503 }, { endStream: true }),
      Status.UNAVAILABLE,
      /HTTP status 503, no content-type/,
    ],
    'HTTP 403 with OK': [
      (stream) => answer(stream, { headers: { ...GRPC, ':status': 403 } }),
      Status.PERMISSION_DENIED,
      /HTTP status 403/,
    ],
  };
  for (const [what, [answers, code, details]] of Object.entries(cases)) {
    test(what, async () => {
      const failure = await failureFrom(answers);
      assert.equal(failure.code, code);
      assert.match(failure.details, details);
      assert.deepEqual([failure.reached, failure.everReached, failure.fault], [true, true, null]);
    });
  }

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
          const all = Buffer.concat([SETTINGS, ...frames, reset(1, Number(code))]);
          socket.once('data', () => socket.write(all));
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
    const atOnce = await failureFrom((stream) => stream.session?.socket.destroy());
    assert.deepEqual([atOnce.code, atOnce.reached], [Status.UNAVAILABLE, true]);
    assert.ok(atOnce.fault !== null);
    const after = await failureFrom(async (stream) => {
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
      assert.match(failure.details, new RegExp(`no connection to ${text(address)} within 300 ms`));
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

  test('has not seen a call that came after the last it names: that is UNAVAILABLE, and asked again', async () => {
    let connections = 0;
    const http2 = createHttp2Server();
    http2.on('stream', (stream: ServerHttp2Stream) => answer(stream));
    await using server = await overTls(files(), (socket) => {
      if (connections++ > 0) http2.emit('connection', socket);
      else socket.once('data', () => socket.write(Buffer.concat([SETTINGS, goaway(0, 0)])));
    });
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line)) as FailedAttempt;
    assert.deepEqual([failure.code, failure.reached], [Status.UNAVAILABLE, true], failure.details);
    connections = 0;
    using again = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(again, { retries: 1 })), ['allowed', true]);
    assert.equal(connections, 2);
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
    await using server = await serving(files(), () => {}, { settings: { maxConcurrentStreams: 1 } });
    using line = lineTo(files(), [server.address]);
    const first = ask(line);
    const late = ask(line, { budget: 300 });
    const third = ask(line);
    assert.deepEqual(outcome(await late), [Status.DEADLINE_EXCEEDED, true]);
    server.sessions[0]?.socket.destroy();
    for (const lost of await Promise.all([first, third])) {
      assert.deepEqual(outcome(lost), [Status.UNAVAILABLE, true]);
    }
  });
});

describe('a call that takes too long', () => {
  test('is cancelled, and the portal told so; the connection stands', async () => {
    await using server = await serving(files(), () => {});
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line, { budget: 200 })) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.DEADLINE_EXCEEDED, true]);
    assert.match(failure.details, /no answer from 127\.0\.0\.1:\d+ within 2\d\d ms/);
    const [stream] = server.streams;
    assert.ok(stream);
    await closed(stream);
    assert.equal(stream.rstCode, 8);
    assert.equal(line.stands, true);
  });

  test('is cancelled where its own message is not taken', async () => {
    const ways = { settings: { initialWindowSize: 0 } };
    const failure = await failureFrom(() => {}, ways, 300);
    assert.equal(failure.code, Status.DEADLINE_EXCEEDED);
  });

  test('is not waited for where the portal has answered without its message', async () => {
    const since = performance.now();
    const failure = await failureFrom(
      (stream) => stream.respond({ ...GRPC, 'grpc-status': '8' }, { endStream: true }),
      { settings: { initialWindowSize: 0 } },
    );
    assert.equal(failure.code, Status.RESOURCE_EXHAUSTED);
    assert.ok(performance.now() - since < 3_000);
  });

  test('is cancelled where the answer stops in the middle', async () => {
    const failure = await failureFrom(
      (stream) => {
        stream.respond(GRPC);
        stream.write(ALLOWED);
      },
      {},
      300,
    );
    assert.deepEqual([failure.code, failure.reached], [Status.DEADLINE_EXCEEDED, true]);
  });
});

test('a message without an end is not listened to for longer than a message may be', async () => {
  await using server = await serving(files(), (stream) => {
    stream.respond(GRPC);
    stream.write(Buffer.alloc(5 * 1024 * 1024));
  });
  using line = lineTo(files(), [server.address]);
  const failure = (await ask(line)) as FailedAttempt;
  assert.deepEqual(outcome(failure), [Status.RESOURCE_EXHAUSTED, true]);
  const [stream] = server.streams;
  assert.ok(stream);
  await closed(stream);
  assert.equal(stream.rstCode, 8);
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
  assert.equal(server.sessions.length, 1);
});

test('a header that HTTP/2 has not is a failure of that call alone', async () => {
  await using server = await serving(files(), (stream) => answer(stream));
  using line = lineTo(files(), [server.address]);
  const failure = (await ask(line, { metadata: { ':other': 'x' } })) as FailedAttempt;
  assert.equal(failure.code, Status.INTERNAL);
  assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
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
