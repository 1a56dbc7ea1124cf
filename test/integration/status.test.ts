import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { type Agent, LAUNCHER, placeOf } from './agent.ts';
import { withPortal } from './fixture.ts';

/** `status --watch` as it runs, on a terminal of its own or into a pipe. */
function watching(agent: Agent, on: 'terminal' | 'pipe') {
  const command = `exec ${LAUNCHER} status --watch 0.2`;
  const [program, args] =
    on === 'terminal' ? ['script', ['-qfec', command, '/dev/null']] : ['sh', ['-c', command]];
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], TERM: 'xterm', ...placeOf(agent) },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
  });
  return {
    pid: child.pid,
    /** Resolves once it shows `words` after what has been waited for before. */
    async shows(words: RegExp): Promise<string> {
      for (;;) {
        const found = words.exec(shown);
        if (found !== null) {
          const page = shown;
          shown = shown.slice(found.index + found[0].length);
          return page;
        }
        await once(child.stdout, 'data');
      }
    },
    /** Ends it as a person does. */
    async interrupt(): Promise<{ code: number | null; last: string }> {
      const ended = once(child, 'close');
      if (on === 'terminal') child.stdin.write('\x03');
      else child.kill('SIGINT');
      const [code] = (await ended) as [number | null];
      return { code, last: shown };
    },
  };
}

describe('status', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  test('says first what is wrong, with its cure, and then the rest', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    await agent.command('maintain');
    assert.match((await agent.command('status')).stdout, /^all is well\n\nsessions: {2}1 live\n/);
    const began = performance.now();
    await agent.command('breaker', 'trip');
    const [first, second, third] = (await agent.command('status')).stdout.split('\n');
    const [, left] = /^broken: the circuit breaker is open, for (\d+)s more/.exec(first ?? '') ?? [];
    const passed = Math.ceil((performance.now() - began) / 1_000);
    assert.ok(Number(left) <= 60 && Number(left) >= 60 - passed, first);
    assert.match(second ?? '', /^ {2}ocagent-hook doctor finds the cause/);
    assert.equal(third, '');
  });

  test('has the same problems for machines, and the decisions by what made them', async () => {
    await using agent = await fixture.install();
    for (let n = 0; n < 2; n++) await agent.connect('alice');
    await agent.connect('mallory');
    const { problems, decisions } = JSON.parse((await agent.command('status', '--json')).stdout);
    assert.deepEqual(
      problems.map(({ level, what }: { level: string; what: string }) => [level, what.split(':')[0]]),
      [['warning', 'maintain has never run']],
    );
    assert.deepEqual(decisions, { portal: { allowed: 1, denied: 1 }, cache: { allowed: 1, denied: 0 } });
  });

  test('--watch shows on a terminal what changes, in its place, and gives the terminal back', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const watch = watching(agent, 'terminal');
    assert.ok((await watch.shows(/breaker: +\S*closed/)).startsWith('\x1b[?1049h\x1b[?25l'));
    await agent.command('breaker', 'trip');
    await watch.shows(/\[H[^\n]*\n[^\n]*\n[^\n]*broken[^\n]*the circuit breaker is open/);
    const { code, last } = await watch.interrupt();
    assert.equal(code, 0);
    assert.ok(last.endsWith('\x1b[?25h\x1b[?1049l'), JSON.stringify(last.slice(-40)));
  });

  test('--watch goes on while the state cannot be used, and with the one that took its place', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const watch = watching(agent, 'pipe');
    await watch.shows(/sessions: +1 live/);
    renameSync(agent.state, `${agent.state}.away`);
    writeFileSync(agent.state, '', { mode: 0o666 });
    await agent.hook({}, ['chmod', '0666', agent.state]);
    await watch.shows(/can be written by others/);
    await agent.hook({}, ['rm', agent.state, `${agent.state}-wal`, `${agent.state}-shm`]);
    await agent.connect('alice', { ID: '1' });
    await agent.connect('alice', { ID: '2' });
    const page = await watch.shows(/sessions: +2 live/);
    assert.ok(!page.includes('\x1b'), 'no colours, no cursor where there is no terminal');
    assert.equal((await watch.interrupt()).code, 0);
  });

  test('--watch keeps no file open for each look at a state that it cannot use', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const db = new Database(agent.state);
    db.pragma('user_version = 99');
    db.close();
    const watch = watching(agent, 'pipe');
    const open = (): number => readdirSync(`/proc/${watch.pid}/fd`).length;
    await watch.shows(/schema version 99/);
    const before = open();
    for (let look = 0; look < 5; look++) await watch.shows(/schema version 99/);
    assert.equal(open(), before);
    await watch.interrupt();
  });

  test('--watch is not for machines, and wants seconds', async () => {
    await using agent = await fixture.install();
    assert.equal((await agent.command('status', '--watch', '--json')).code, 2);
    for (const seconds of ['0', 'often', '-1']) {
      assert.equal((await agent.command('status', '--watch', seconds)).code, 2, seconds);
    }
  });
});
