import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { CONNECT, DISCONNECT, LAUNCHER, placeOf, withoutReception } from './agent.ts';
import { gone, stderrOf } from './events.ts';
import { withPortal } from './fixture.ts';

/** As systemd starts what it connects to the journal: the variable names the stream that stderr is. */
const UNDER_SYSTEMD = [
  '/bin/sh',
  '-c',
  'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM; exec "$0" "$@"',
  LAUNCHER,
] as const;

interface Line {
  readonly priority: string | undefined;
  readonly rest: string;
}

function linesOf(stderr: string): Line[] {
  const lines = stderr.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [, priority, rest = ''] = /^(<\d>)?(.*)$/s.exec(line) ?? [];
    return { priority, rest };
  });
}

const PRIORITIES: Readonly<Record<string, string>> = {
  debug: '<7>',
  info: '<6>',
  warn: '<4>',
  error: '<3>',
};

/** Every line is JSON, after the priority of its level. */
function assertPriorities(stderr: string): string[] {
  const levels = linesOf(stderr).map(({ priority, rest }) => {
    const { level } = JSON.parse(rest) as { level: string };
    assert.equal(priority, PRIORITIES[level], rest);
    return level;
  });
  assert.ok(levels.length > 0);
  return levels;
}

describe('the log in the journal', () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: false, reason: 'no' } } });

  test('has the priority of its level before each line, and is JSON after it', async () => {
    await using agent = await fixture.install(
      '[log]\nlevel = "debug"\n[resilience]\nemergency_users = ["root"]',
    );
    const levels: string[] = [];
    const call = async (environment: Record<string, string>): Promise<void> => {
      levels.push(...assertPriorities((await agent.hook(environment, UNDER_SYSTEMD)).stderr));
    };
    await call({ ...CONNECT, USERNAME: 'alice' });
    await call({ ...CONNECT, REASON: 'host-update', USERNAME: 'alice' });
    await call({ ...CONNECT, USERNAME: '' });
    await fixture.portal.stop();
    await call({ ...CONNECT, USERNAME: 'root' });
    assert.deepEqual(levels, ['info', 'debug', 'warn', 'warn', 'error']);
  });

  test('as text has neither time nor level of its own', async () => {
    await using agent = await fixture.install('[log]\nformat = "text"');
    const { stderr } = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, UNDER_SYSTEMD);
    assert.match(
      stderr,
      /^<6>connect denied username=bob client_ip=198\.51\.100\.7 allowed=false source=portal /,
    );
    assert.equal(linesOf(stderr).length, 1);
    await fixture.portal.stop();
    const away = await agent.hook({ ...CONNECT, USERNAME: 'carol' }, UNDER_SYSTEMD);
    const [failed, denied] = linesOf(away.stderr);
    assert.equal(failed?.priority, '<4>');
    assert.match(failed?.rest ?? '', /^the portal could not be asked username=carol /);
    assert.match(denied?.rest ?? '', /^connect denied username=carol .* source=fail-close /);
  });

  test('is told by a socket as by a file', async () => {
    await using agent = await fixture.install('[log]\nformat = "text"');
    const [program, ...args] = UNDER_SYSTEMD;
    const env = {
      PATH: process.env['PATH'],
      ...placeOf(agent),
      ...CONNECT,
      USERNAME: 'alice',
    };
    // What Node calls a pipe is a socket.
    const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const [stderr] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    assert.match(stderr, /^<6>connect allowed username=alice /);
  });

  test('has it before what is said ahead of any configuration, too', async () => {
    await using agent = await fixture.install();
    writeFileSync(agent.configFile, 'nonsense = 1\n');
    const { code, stderr } = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, UNDER_SYSTEMD);
    assert.equal(code, 2);
    assert.deepEqual(new Set(assertPriorities(stderr)), new Set(['error']));
    const unknown = await agent.hook({ ...CONNECT, REASON: 'surprise', USERNAME: 'alice' }, UNDER_SYSTEMD);
    assert.deepEqual(assertPriorities(unknown.stderr), ['error']);
  });

  test('has it before the lines of a drain, which a hook has started there', async () => {
    await using agent = await fixture.install('[events]\n[log]\nlevel = "debug"');
    // Each has a stderr of its own here, and a drain knows the journal only by its own.
    withoutReception(agent);
    await agent.hook({ ...CONNECT, USERNAME: 'alice' }, UNDER_SYSTEMD);
    await agent.hook({ ...DISCONNECT, USERNAME: 'alice', STATS_DURATION: '1' }, UNDER_SYSTEMD);
    await fixture.portal.answered(1, 'ReportDisconnect');
    await gone(agent);
    const stderr = stderrOf(agent);
    assertPriorities(stderr);
    assert.match(stderr, /^<7>.*"event delivered"/m);
    assert.match(stderr, /^<7>.*"drain ended"/m);
  });

  for (const [what, stream] of [
    ['is of another stream', '1:2'],
    ['is of no stream', 'nonsense'],
    ['is empty', ''],
  ] as const) {
    test(`changes nothing where the variable ${what}`, async () => {
      await using agent = await fixture.install('[events]\n[log]\nlevel = "debug"');
      const environment = { ...CONNECT, USERNAME: 'alice', JOURNAL_STREAM: stream };
      assert.equal((await agent.hook(environment)).decision?.['allowed'], true);
      await fixture.portal.answered(1, 'ReportConnect');
      await gone(agent);
      const lines = linesOf(stderrOf(agent));
      assert.ok(lines.length >= 3);
      for (const { priority, rest } of lines) {
        assert.equal(priority, undefined);
        assert.match(rest, /^\{"time":/);
      }
    });
  }

  test('has nothing of it in a log file', async () => {
    await using agent = await fixture.install();
    const file = join(agent.folder, 'hook.log');
    const config = `[events]\n[log]\nlevel = "debug"\nfile = "${file}"\nformat = "text"`;
    agent.configure({ address: fixture.portal.address, config }, fixture.certificates);
    await agent.hook({ ...CONNECT, USERNAME: 'alice' }, UNDER_SYSTEMD);
    await fixture.portal.answered(1, 'ReportConnect');
    await gone(agent);
    assert.equal(stderrOf(agent), '');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    assert.ok(lines.length >= 3);
    for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT\S+Z (INFO|DEBUG|WARN) /);
  });

  test('has it where a log file cannot be opened, as stderr is the journal', async () => {
    await using agent = await fixture.install('[log]\nfile = "/nonexistent/hook.log"');
    const { stderr } = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, UNDER_SYSTEMD);
    assert.deepEqual(assertPriorities(stderr), ['error', 'info']);
  });

  test('has it before the warnings of commands that a timer runs', async () => {
    await using agent = await fixture.install('[events]');
    await fixture.portal.stop();
    await agent.hook({ ...DISCONNECT, USERNAME: 'alice', STATS_DURATION: '1' });
    await gone(agent);
    const [program, ...args] = UNDER_SYSTEMD;
    const { ended } = agent.start({}, [program, ...args, 'events', 'flush']);
    const { stderr } = await ended;
    assert.match(stderr, /^<4>event not delivered username=alice /);
  });
});
