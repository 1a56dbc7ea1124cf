import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Answer, TakenBack } from '../../src/drain/answer.ts';
import { takeCall, type Whose } from '../../src/drain/handed-over.ts';

/** What the launcher reads of the time: hundredths of a second since the machine was started. */
const uptime = (): string => readFileSync('/proc/uptime', 'latin1').split(' ')[0] ?? '';

const CONFIG = '/etc/x.toml';
let folder = '';
const waiting = new Set<ChildProcess>();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ocagent-calls-'));
});
afterEach(() => {
  for (const child of waiting) child.kill('SIGKILL');
  waiting.clear();
  rmSync(folder, { recursive: true });
});

/** A process that waits for an answer, and says the signal that wakes it. */
async function launcher(env: Readonly<Record<string, string>>): Promise<ChildProcess & { pid: number }> {
  const child = spawn('sh', ['-c', 'trap "echo woken; exit" USR1; echo ready; sleep 60 & wait'], {
    env: { PATH: process.env['PATH'] ?? '', OCAGENT_CONFIG: CONFIG, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  waiting.add(child);
  await once(child.stdout, 'data');
  const { pid } = child;
  assert.ok(pid !== undefined);
  return Object.assign(child, { pid });
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function handOver(pid: number, text = '1\n', at = uptime()): string {
  const name = `${pid}.${at}`;
  writeFileSync(join(folder, name), text);
  return name;
}

describe('a call that is handed over', () => {
  test('is that of the process that waits, as it was started', async () => {
    const { pid } = await launcher({
      REASON: 'connect',
      USERNAME: 'ünï=x\ny',
      EMPTY: '',
      OCAGENT_TUNNEL: ' 9 9 9 9',
    });
    const name = handOver(pid, '2 1 2 3 4\n');
    const call = takeCall(folder, name, CONFIG);
    assert.ok(call !== null && 'env' in call);
    assert.deepEqual([call.name, call.pid, call.isAgain], [name, pid, true]);
    assert.partialDeepStrictEqual(call.env, {
      REASON: 'connect',
      USERNAME: 'ünï=x\ny',
      EMPTY: '',
      OCAGENT_TUNNEL: ' 1 2 3 4',
    });
    assert.ok(call.start.waited >= 0);
    assert.deepEqual(readdirSync(folder), [], 'and is taken once');
    assert.equal(takeCall(folder, name, CONFIG), null);
  });

  test('is left to others where it goes by another configuration', async () => {
    for (const OCAGENT_CONFIG of ['', '/etc/y.toml', `${CONFIG} `]) {
      const { pid } = await launcher({ REASON: 'connect', OCAGENT_CONFIG });
      const name = handOver(pid);
      assert.equal(takeCall(folder, name, CONFIG), null);
      assert.equal(existsSync(join(folder, name)), true);
      rmSync(join(folder, name));
    }
  });

  test('is left until it is written to its end', async () => {
    const { pid } = await launcher({ REASON: 'connect' });
    for (const part of ['', '1', '1 2 3']) {
      const name = handOver(pid, part);
      assert.equal(takeCall(folder, name, CONFIG), null);
      assert.equal(existsSync(join(folder, name)), true, JSON.stringify(part));
      rmSync(join(folder, name));
    }
  });

  test('is nobody’s when its process has gone, or its id is that of a younger one', async () => {
    const old = uptime();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const child = await launcher({ REASON: 'connect' });
    assert.equal(
      takeCall(folder, handOver(child.pid, '1\n', old), CONFIG),
      null,
      'handed over before it was started',
    );
    await end(child);
    assert.equal(takeCall(folder, handOver(child.pid), CONFIG), null);
    for (const name of ['x', '1', '1.2', '-1.00', '../1.00', `${child.pid}.1.00`]) {
      assert.equal(takeCall(folder, name, CONFIG), null, name);
    }
  });
});

describe('an answer', () => {
  async function called(
    REASON = 'connect',
  ): Promise<{ child: ChildProcess; call: Whose; file: string; onlyOnce: boolean }> {
    const child = await launcher({ REASON });
    const call = takeCall(folder, handOver(child.pid), CONFIG);
    assert.ok(call !== null);
    return { child, call, file: join(folder, call.name), onlyOnce: REASON !== 'connect' };
  }

  test('is there as a whole, and wakes who waits', async () => {
    const { child, call, file, onlyOnce } = await called();
    const answer = new Answer(folder, call, onlyOnce);
    answer.claim();
    assert.equal(readFileSync(file, 'utf8'), '', 'nothing to be read yet');
    answer.claim();
    const woken = once(child.stdout ?? child, 'data');
    answer.give(65);
    assert.equal(readFileSync(file, 'utf8'), '65\n');
    assert.equal(String(await woken), 'woken\n');
    assert.deepEqual(readdirSync(folder), [call.name]);
  });

  test('is not given once its call is taken back', async () => {
    const { call, file, onlyOnce } = await called();
    const answer = new Answer(folder, call, onlyOnce);
    writeFileSync(file, '', { flag: 'wx' });
    assert.equal(answer.isTakenBack, true);
    assert.throws(() => answer.claim(), TakenBack);
    assert.throws(() => answer.give(0), TakenBack);
    assert.throws(() => answer.decline(), TakenBack);
    assert.equal(readFileSync(file, 'utf8'), '');
  });

  test('keeps a call from being taken back', async () => {
    const { call, file, onlyOnce } = await called();
    new Answer(folder, call, onlyOnce).claim();
    assert.throws(() => writeFileSync(file, '', { flag: 'wx' }), { code: 'EEXIST' });
  });

  test('to a connect whose process has gone is none: it may have been taken back, and that been cleared away', async () => {
    const { child, call, onlyOnce } = await called();
    await end(child);
    assert.throws(() => new Answer(folder, call, onlyOnce).claim(), TakenBack);
  });

  test('to what happens only once is given all the same', async () => {
    const { child, call, file, onlyOnce } = await called('disconnect');
    await end(child);
    new Answer(folder, call, onlyOnce).give(0);
    assert.equal(readFileSync(file, 'utf8'), '0\n');
  });

  test('is cleared away when nobody reads it any more', async () => {
    const { child, call, file, onlyOnce } = await called();
    const answer = new Answer(folder, call, onlyOnce);
    answer.claim();
    assert.equal(answer.clearAway(), false);
    assert.equal(existsSync(file), true);
    await end(child);
    assert.equal(answer.clearAway(), true);
    assert.equal(existsSync(file), false);
  });
});
