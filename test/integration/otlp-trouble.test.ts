import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, DISCONNECT } from './agent.ts';
import { answering, type Behaviour, Collector, HANG, TAKE, TRICKLE } from './collector.ts';
import { gone, pending, stderrOf, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

const STATS = { STATS_BYTES_IN: '5', STATS_BYTES_OUT: '6', STATS_DURATION: '7' };

/** A listener that accepts no connection, and whose queue of those that wait to be accepted is full. */
async function deafListener(): Promise<AsyncDisposable & { readonly host: string }> {
  const program = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(chunk.toString());
  const sockets: Socket[] = [];
  // It is full once a connection does not come about at once.
  for (let full = false; !full && sockets.length < 20; ) {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    sockets.push(socket);
    full = await Promise.race([
      once(socket, 'connect').then(() => false),
      new Promise<boolean>((resolve) => setTimeout(resolve, 300, true)),
    ]);
  }
  return {
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function failed(agent: Agent): Promise<string> {
  const { code, stdout } = await agent.command('metrics', 'export', '--json');
  assert.equal(code, 1, stdout);
  const { exported, error } = JSON.parse(stdout) as { exported: boolean; error: string };
  assert.equal(exported, false);
  return error;
}

describe('an export fails, and says why,', () => {
  const fixture = withPortal({ default: { allowed: true } });
  const html = '<html>no such page</html>';

  for (const [what, behaviour, why] of [
    ['to a collector that does not answer', HANG, /no answer within telemetry.timeout|timed out/],
    ['to one that answers byte by byte and comes to no end', TRICKLE, /no answer within telemetry.timeout/],
    ['to one that finds it malformed', answering(400, '{"message":"bad"}'), /did not take it: HTTP 400/],
    ['to one that does not know us', answering(401), /did not take it: HTTP 401 Unauthorized/],
    [
      'to a web server that has a page for everything',
      answering(200, html),
      /a web server, and no OTLP collector/,
    ],
    ['to something that is no collector', answering(404, html), /did not take it: HTTP 404 Not Found/],
    ['to one that is broken', answering(500), /did not take it: HTTP 500/],
    ['to one that cannot take it now', answering(503), /cannot take it now/],
    ['to one that wants it later', answering(503, '', { 'retry-after': '3600' }), /cannot take it now/],
    ['to one that has too much to do', answering(429, '', { 'retry-after': '60' }), /cannot take it now/],
  ] as const satisfies [string, Behaviour, RegExp][]) {
    test(what, async () => {
      await using collector = await Collector.start(behaviour);
      await using agent = await fixture.install(collector.configWith('timeout = "400ms"'));
      assert.match(await failed(agent), why);
      assert.equal(collector.requests.length, 1);
      collector.behave(TAKE);
      assert.equal((await agent.command('metrics', 'export')).code, 0, 'the next one goes well');
    });
  }

  test('to one that refuses a part of it', async () => {
    const body = JSON.stringify({ partialSuccess: { rejectedDataPoints: '3', errorMessage: 'too old' } });
    await using collector = await Collector.start(answering(200, body));
    await using agent = await fixture.install(collector.config);
    assert.match(await failed(agent), /refused 3 data points: too old/);
  });

  test('where the server’s certificate is its own', async () => {
    const { serverCertificate, serverKey } = fixture.certificates;
    const tls = { cert: readFileSync(serverCertificate), key: readFileSync(serverKey) };
    await using collector = await Collector.start(TAKE, { tls });
    assert.match(collector.endpoint, /^https:/);
    await using agent = await fixture.install(collector.config);
    assert.match(await failed(agent), /did not take it: .*(certificate|issuer)/i);
    assert.equal(collector.requests.length, 0);
  });

  test('where no TLS is spoken, and where only TLS is', async () => {
    await using plain = await Collector.start();
    await using agent = await fixture.install(
      plain.configWith('timeout = "2s"', plain.endpoint.replace('http:', 'https:')),
    );
    assert.match(await failed(agent), /did not take it: .*(SSL|TLS|EPROTO|wrong version)/i);
    const { serverCertificate, serverKey } = fixture.certificates;
    const tls = { cert: readFileSync(serverCertificate), key: readFileSync(serverKey) };
    await using secure = await Collector.start(TAKE, { tls });
    await using other = await fixture.install(
      secure.configWith('timeout = "500ms"', secure.endpoint.replace('https:', 'http:')),
    );
    assert.match(await failed(other), /did not take it|no answer/);
  });

  test('where the name leads nowhere', async () => {
    await using agent = await fixture.install(
      '[telemetry]\nendpoint = "http://collector.invalid:4318/v1/metrics"',
    );
    assert.match(await failed(agent), /collector\.invalid:4318 cannot be reached \((ENOTFOUND|EAI_AGAIN)\)/);
  });

  test('where nobody accepts the connection', async () => {
    await using deaf = await deafListener();
    await using agent = await fixture.install(
      `[telemetry]\nendpoint = "http://${deaf.host}/v1/metrics"\ntimeout = "400ms"`,
    );
    assert.match(await failed(agent), /cannot be reached: no connection within 400 ms$/);
  });
});

describe('an export', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('is tried again within telemetry.timeout where the collector says that it may be', async () => {
    await using collector = await Collector.start();
    collector.behave(answering(503, '', { 'retry-after': '1' }), TAKE);
    await using agent = await fixture.install(collector.config);
    const { code, stdout } = await agent.command('metrics', 'export');
    assert.equal(code, 0, stdout);
    assert.equal(collector.requests.length, 2);
    assert.equal(collector.requests[0]?.body, collector.requests[1]?.body);
  });

  for (const host of ['127.0.0.1', '::1', 'localhost']) {
    test(`reaches a collector at ${host}`, async () => {
      await using collector = await Collector.start(TAKE, { host });
      await using agent = await fixture.install(collector.config);
      assert.equal((await agent.command('metrics', 'export')).code, 0);
      assert.equal(collector.requests.length, 1);
    });
  }

  test('is a success where the collector has taken all of it, and says something besides', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(collector.config);
    for (const partialSuccess of [
      {},
      { rejectedDataPoints: '0' },
      { rejectedDataPoints: 0, errorMessage: 'there is a newer version of this protocol' },
    ]) {
      collector.behave(answering(200, JSON.stringify({ partialSuccess })));
      const { code, stdout } = await agent.command('metrics', 'export');
      assert.equal(code, 0, `${JSON.stringify(partialSuccess)}: ${stdout}`);
    }
  });
});

describe('a collector', () => {
  const fixture = withPortal({ default: { allowed: true }, users: { bad: { allowed: false } } });

  /** Every kind of call, and the status that it must end with. */
  const CALLS = [
    [{ ...CONNECT, USERNAME: 'alice' }, 0],
    [{ ...CONNECT, USERNAME: 'alice', ID: '2' }, 0],
    [{ ...CONNECT, USERNAME: 'bad' }, 1],
    [{ ...CONNECT, USERNAME: '' }, 1],
    [{ ...CONNECT, REASON: 'host-update', USERNAME: 'alice' }, 0],
    [{ ...DISCONNECT, ...STATS, USERNAME: 'alice' }, 0],
    [{ ...DISCONNECT, ...STATS, USERNAME: 'nobody', ID: '9' }, 0],
  ] as const;

  const assertDecides = async (agent: Agent, command?: readonly string[]): Promise<void> => {
    for (const [environment, status] of CALLS) {
      const run = await agent.hook(environment, command);
      assert.equal(run.code, status, `${JSON.stringify(environment)} ${run.stderr}`);
      assert.doesNotMatch(run.stderr, /metrics|collector/);
    }
  };

  for (const [what, behaviour] of [
    ['hangs', HANG],
    ['answers byte by byte', TRICKLE],
    ['answers 503', answering(503)],
    ['takes all', TAKE],
  ] as const) {
    test(`that ${what} sees no hook, and changes no decision`, async () => {
      await using collector = await Collector.start(behaviour);
      const config = collector.configWith('interval = "1s"\ntimeout = "1s"');
      await using agent = await fixture.install(`[events]\n${config}`);
      await assertDecides(agent, WITHOUT_DRAIN);
      assert.equal(collector.connections, 0, 'hooks connect to the portal alone');
      assert.equal(pending(agent), 4);
    });

    test(`that ${what} keeps no drain from delivering, nor from going`, async () => {
      await using collector = await Collector.start(behaviour);
      const config = collector.configWith('interval = "1s"\ntimeout = "1s"');
      await using agent = await fixture.install(`[events]\n${config}`);
      await assertDecides(agent);
      await fixture.portal.answered(2, 'ReportConnect');
      await fixture.portal.answered(2, 'ReportDisconnect');
      await collector.received(1);
      await gone(agent);
      assert.equal(pending(agent), 0);
      assert.equal(collector.mostAtOnce, 1);
    });
  }

  test('that has never been there changes no decision, and is not worth a line of the log', async () => {
    await using collector = await Collector.start();
    await collector.stop();
    await using agent = await fixture.install(`[events]\n${collector.configWith('interval = "1s"')}`);
    await assertDecides(agent);
    await fixture.portal.answered(2, 'ReportDisconnect');
    await gone(agent);
    assert.equal(pending(agent), 0);
    assert.doesNotMatch(stderrOf(agent), /metrics not exported/);
  });

  test('that once took them and is gone is told of once, with what to do', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(`[events]\n${collector.configWith('interval = "1s"')}`);
    assert.equal((await agent.command('metrics', 'export')).code, 0);
    await collector.stop();
    for (const [i, user] of ['alice', 'bob'].entries()) {
      await agent.connect(user);
      await fixture.portal.answered(i + 1, 'ReportConnect');
      await gone(agent);
    }
    const [line, ...others] = stderrOf(agent)
      .split('\n')
      .filter((text) => text.includes('metrics not exported'));
    assert.deepEqual(others, []);
    const { level, error, cure } = JSON.parse(line ?? '') as Record<string, string>;
    assert.equal(level, 'warn');
    assert.match(error ?? '', /^nobody listens on/);
    assert.match(cure ?? '', /telemetry\.endpoint/);
  });

  for (const [what, behaviour] of [
    ['hangs', HANG],
    ['answers byte by byte', TRICKLE],
  ] as const) {
    test(`that ${what} has at most one request of a drain, however long that is at work`, async () => {
      await using collector = await Collector.start(behaviour);
      const config = collector.configWith('interval = "1s"\ntimeout = "300ms"');
      await using agent = await fixture.install(
        `[events]\n[hook]\ndeadline = "2m"\n${config}`,
        'timeout = "60s"',
      );
      const release = fixture.portal.hold('ReportConnect');
      await agent.connect('alice');
      await collector.received(4);
      release();
      await gone(agent);
      assert.equal(collector.mostAtOnce, 1);
    });
  }
});
