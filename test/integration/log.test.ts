import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, LAUNCHER, placeOf } from './agent.ts';
import { gone, stderrOf, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

describe('the log', () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: false, reason: 'no' } } });

  const statusWith = async (
    agent: Agent,
    user: string,
    stderr: number | 'pipe',
    close = false,
  ): Promise<number | null> => {
    const child = spawn(LAUNCHER, {
      env: { PATH: process.env['PATH'], ...placeOf(agent), ...CONNECT, USERNAME: user },
      stdio: ['ignore', 'ignore', stderr],
    });
    if (close) child.stderr?.destroy();
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  };

  test('that nobody reads any more changes no decision', async () => {
    await using agent = await fixture.install();
    assert.equal(await statusWith(agent, 'alice', 'pipe', true), 0);
    assert.equal(await statusWith(agent, 'bob', 'pipe', true), 1);
  });

  test('on a full device changes no decision', async () => {
    await using agent = await fixture.install();
    const full = openSync('/dev/full', 'w');
    try {
      assert.equal(await statusWith(agent, 'alice', full), 0);
      assert.equal(await statusWith(agent, 'bob', full), 1);
    } finally {
      closeSync(full);
    }
  });

  test('whose reader has stopped reading holds up no answer', async () => {
    await using agent = await fixture.install();
    const pipe = join(agent.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // Opened for both, so that it has a reader who never reads; filled to the brim.
    const fd = openSync(pipe, 'r+');
    const filler = spawn('sh', ['-c', `exec dd if=/dev/zero of=${pipe} bs=4096 count=16 2>/dev/null`]);
    await once(filler, 'exit');
    try {
      const began = performance.now();
      assert.equal(await statusWith(agent, 'alice', fd), 0);
      assert.equal(await statusWith(agent, 'bob', fd), 1);
      assert.ok(performance.now() - began < 8_000, 'well before two deadlines');
    } finally {
      closeSync(fd);
    }
  });

  test('costs no thread where nobody can hold it up: a file, nothing at all, a pipe that has room', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const threads = join(agent.folder, 'threads');
    const spy = join(agent.folder, 'spy.cjs');
    writeFileSync(
      spy,
      `const { readdirSync, readFileSync, writeFileSync } = require('node:fs');
       process.on('exit', () => {
         const names = readdirSync('/proc/self/task').map((id) => readFileSync('/proc/self/task/' + id + '/comm', 'latin1'));
         writeFileSync(${JSON.stringify(threads)}, names.join(''));
       });`,
    );
    const [node = '', boot = ''] = WITHOUT_DRAIN;
    const null_ = openSync('/dev/null', 'w');
    const full = openSync('/dev/full', 'w');
    const file = openSync(join(agent.folder, 'hook.log'), 'w');
    const made = async (stderr: number): Promise<boolean> => {
      const child = spawn(node, ['--require', spy, boot], {
        env: { ...placeOf(agent), ...CONNECT, USERNAME: 'alice' },
        stdio: ['ignore', 'ignore', stderr],
      });
      assert.deepEqual(await once(child, 'exit'), [0, null]);
      return readFileSync(threads, 'utf8').includes('libuv-worker');
    };
    try {
      assert.deepEqual([await made(file), await made(null_)], [false, false]);
      const piped = spawnSync(
        'sh',
        ['-c', `"$0" --require "$1" "$2" 2>&1 >/dev/null | cat`, node, spy, boot],
        {
          env: { PATH: process.env['PATH'], ...placeOf(agent), ...CONNECT, USERNAME: 'alice' },
        },
      );
      assert.match(String(piped.stdout), /^\{.*"connect allowed".*\}\n$/);
      assert.ok(!readFileSync(threads, 'utf8').includes('libuv-worker'));
      assert.ok(await made(full), 'so that this would see one');
    } finally {
      for (const fd of [null_, full, file]) closeSync(fd);
    }
  });

  test('goes to a file where one is named, one whole line a write, from many processes at once', async () => {
    await using agent = await fixture.install();
    const file = join(agent.folder, 'hook.log');
    agent.configure(
      { address: fixture.portal.address, config: `[log]\nfile = "${file}"` },
      fixture.certificates,
    );
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, i) => agent.connect('alice', { ID: `${i + 1}` })),
    );
    assert.ok(runs.every(({ code, stderr }) => code === 0 && stderr === ''));
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, 20);
    for (const line of lines) assert.equal((JSON.parse(line) as { msg: string }).msg, 'connect allowed');
  });

  test('falls back to stderr when its file cannot be opened', async () => {
    await using agent = await fixture.install('[log]\nfile = "/nonexistent/hook.log"');
    const run = await agent.connect('alice');
    assert.equal(run.code, 0);
    assert.match(run.stderr, /the log file cannot be opened/);
    assert.equal(run.decision?.['allowed'], true);
  });

  test('as text tells in one line who, from where, allowed or denied, by what, and why', async () => {
    await using agent = await fixture.install('[log]\nformat = "text"');
    const { stderr } = await agent.connect('bob');
    assert.match(
      stderr,
      new RegExp(
        [
          /^\S+Z INFO {2}connect denied username=bob client_ip=198\.51\.100\.7 allowed=false source=portal reason=no/,
          / groupname=staff cache\.state=miss breaker=closed fail_mode=stale duration_ms=[\d.]+/,
          / session_id=4711-\d+ vhost=default vpn_ip=10\.200\.63\.50 device=vpn0\n$/,
        ]
          .map(({ source }) => source)
          .join(''),
      ),
    );
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  });

  test('names each session as the portal knows it, from its connect to its end', async () => {
    await using agent = await fixture.install('[events]\n[log]\nlevel = "debug"');
    const sessions = [];
    for (const [i, more] of [{}, { IP_REAL: '198.51.100.8' }, {}].entries()) {
      const own = { ID: `${100 + i}`, ...more };
      const connect = await agent.connect('alice', own);
      const update = await agent.hook({ ...CONNECT, ...own, REASON: 'host-update', USERNAME: 'alice' });
      const end = await agent.disconnect('alice', { ...own, STATS_BYTES_IN: '1', STATS_DURATION: '2' });
      const update_line = update.log.find(({ msg }) => msg === 'host-update recorded');
      const end_line = end.log.find(({ msg }) => msg === 'disconnect recorded');
      sessions.push([connect.decision, update_line, end_line].map((line) => String(line?.['session_id'])));
    }
    await fixture.portal.answered(3, 'ReportDisconnect');
    for (const [i, ids] of sessions.entries()) {
      assert.match(ids[0] ?? '', new RegExp(`^10${i}-\\d{10}$`));
      assert.equal(new Set(ids).size, 1, ids.join());
    }
    const ids = sessions.map(([id]) => id);
    const heard = (rpc: 'CheckPolicy' | 'ReportConnect' | 'ReportDisconnect') =>
      fixture.portal.callsOf(rpc).map(({ request }) => request.sessionId);
    // The third was answered from the cache.
    assert.deepEqual(heard('CheckPolicy'), ids.slice(0, 2));
    assert.deepEqual(heard('ReportConnect').sort(), ids);
    assert.deepEqual(heard('ReportDisconnect').sort(), ids);
    await gone(agent);
    const told = stderrOf(agent)
      .split('\n')
      .filter((line) => line.includes('"event delivered"'))
      .map((line) => String((JSON.parse(line) as Record<string, unknown>)['session_id']));
    assert.deepEqual(told.sort(), [...ids, ...ids].sort());
  });

  test('names the session in whatever else it says of it', async () => {
    await using agent = await fixture.install();
    await fixture.portal.stop();
    const { log, decision } = await agent.connect('alice');
    const failed = log.find(({ msg }) => msg === 'the portal could not be asked');
    assert.match(String(failed?.['session_id']), /^4711-\d{10}$/);
    assert.equal(failed?.['session_id'], decision?.['session_id']);
  });

  test('escapes whatever a client chose as its name', async () => {
    await using agent = await fixture.install();
    const name = 'a\n{"level":"info"}\u001b[31m\u202e$(id)\u0085';
    const run = await agent.connect(name);
    assert.equal(run.code, 1);
    assert.equal(run.decision?.['username'], name);
    assert.equal(run.stderr.trimEnd().split('\n').length, 1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.doesNotMatch(run.stderr.trimEnd(), /[\u0000-\u001f\u007f-\u009f\u202e]/);
  });
});
