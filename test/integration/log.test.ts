import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CONNECT, LAUNCHER } from './agent.ts';
import { withPortal } from './fixture.ts';

describe('the log', () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: false, reason: 'no' } } });

  const statusWith = async (
    configFile: string,
    user: string,
    stderr: number | 'pipe',
    close = false,
  ): Promise<number | null> => {
    const child = spawn(LAUNCHER, {
      env: { PATH: process.env['PATH'], OCAGENT_CONFIG: configFile, ...CONNECT, USERNAME: user },
      stdio: ['ignore', 'ignore', stderr],
    });
    if (close) child.stderr?.destroy();
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  };

  test('that nobody reads any more changes no decision', async () => {
    await using agent = await fixture.install();
    assert.equal(await statusWith(agent.configFile, 'alice', 'pipe', true), 0);
    assert.equal(await statusWith(agent.configFile, 'bob', 'pipe', true), 1);
  });

  test('on a full device changes no decision', async () => {
    await using agent = await fixture.install();
    const full = openSync('/dev/full', 'w');
    try {
      assert.equal(await statusWith(agent.configFile, 'alice', full), 0);
      assert.equal(await statusWith(agent.configFile, 'bob', full), 1);
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
      assert.equal(await statusWith(agent.configFile, 'alice', fd), 0);
      assert.equal(await statusWith(agent.configFile, 'bob', fd), 1);
      assert.ok(performance.now() - began < 8_000, 'well before two deadlines');
    } finally {
      closeSync(fd);
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
      /^\S+Z WARN|INFO {2}connect denied allowed=false source=portal reason=no username=bob groupname=staff client_ip=198\.51\.100\.7 /,
    );
    assert.equal(stderr.trimEnd().split('\n').length, 1);
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
