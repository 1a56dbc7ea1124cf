import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative as relativeTo } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Answer, TakenBack } from '../../src/drain/answer.ts';
import { type HandedOver, type Identity, takeCall, type Whose } from '../../src/drain/handed-over.ts';

/** What the launcher reads of the time: hundredths of a second since the machine was started. */
const uptime = (): string => readFileSync('/proc/uptime', 'latin1').split(' ')[0] ?? '';

const CONFIG = '/etc/x.toml';
/** This file stands for the program. */
const OWN: Identity = { born: '4711', config: CONFIG, program: import.meta.filename };
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
async function launcher(
  env: Readonly<Record<string, string>>,
  within: readonly string[] = [],
): Promise<ChildProcess & { pid: number }> {
  const [program = '', ...args] = [
    ...within,
    'sh',
    '-c',
    'trap "echo woken; exit" USR1; echo ready; sleep 60 & wait',
  ];
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'] ?? '', OCAGENT_CONFIG: CONFIG, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  waiting.add(child);
  await once(child.stdout, 'data');
  const { pid } = child;
  assert.ok(pid !== undefined);
  return Object.assign(child, { pid });
}

/** Into a root that holds nothing else: as /bin/NAME, and what it is linked with where that is. */
function copyWithLibraries(name: string, root: string): void {
  const program = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+(?= \()/g) ?? [];
  for (const [from, to] of [[program, `/bin/${name}`], ...libraries.map((library) => [library, library])]) {
    const place = join(root, to ?? '');
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(from ?? '', place);
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function handOver(
  pid: number,
  text = '1',
  { at = uptime(), to = OWN.born, program = OWN.program } = {},
): string {
  const name = `${pid}.${at}`;
  writeFileSync(join(folder, name), `${to}\n${text}\n${program}\n`);
  return name;
}

function taken(name: string, own = OWN): HandedOver {
  const result = takeCall(folder, name, own);
  assert.equal(result.what, 'call');
  return (result as { call: HandedOver }).call;
}

const whatOf = (name: string, own = OWN): string => takeCall(folder, name, own).what;

describe('a call that is handed over', () => {
  test('is that of the process that waits, as it was started', async () => {
    const { pid } = await launcher({
      REASON: 'connect',
      USERNAME: 'ünï=x\ny',
      EMPTY: '',
      OCAGENT_TUNNEL: ' 9 9 9 9',
    });
    const name = handOver(pid, '2 1 2 3 4');
    const call = taken(name);
    assert.deepEqual([call.name, call.pid, call.isAgain], [name, pid, true]);
    assert.partialDeepStrictEqual(call.env, {
      REASON: 'connect',
      USERNAME: 'ünï=x\ny',
      EMPTY: '',
      OCAGENT_TUNNEL: ' 1 2 3 4',
    });
    assert.ok(call.start.waited >= 0);
    assert.deepEqual(readdirSync(folder), [], 'and is taken once');
    assert.equal(whatOf(name), 'nothing');
  });

  test('is for others where it goes by another configuration, or would run another program', async () => {
    for (const OCAGENT_CONFIG of ['', '/etc/y.toml', `${CONFIG} `]) {
      const { pid } = await launcher({ REASON: 'connect', OCAGENT_CONFIG });
      assert.equal(whatOf(handOver(pid)), 'another’s');
    }
    const { pid } = await launcher({ REASON: 'connect' });
    assert.equal(whatOf(handOver(pid, '1', { program: '/bin/sh' })), 'another’s');
    assert.deepEqual(readdirSync(folder), [], 'and is answered that nothing was done');
    symlinkSync(import.meta.filename, join(folder, 'current'));
    const relative = relativeTo(process.cwd(), join(folder, 'current'));
    assert.equal(whatOf(handOver(pid, '1', { program: relative })), 'call', 'the same by another name');
  });

  test('is for others where its process sees other files, or another network', async () => {
    for (const options of ['-m', '-n']) {
      const child = await launcher({ REASON: 'connect' }, ['unshare', options]);
      assert.equal(whatOf(handOver(child.pid)), 'another’s', options);
    }
  });

  test('is for others where its process sees other files by a root of its own', async () => {
    const root = join(folder, 'root');
    for (const program of ['sh', 'sleep']) copyWithLibraries(program, root);
    // Without it a shell cannot start what it waits for.
    mkdirSync(join(root, 'dev'));
    writeFileSync(join(root, 'dev', 'null'), '');
    const child = await launcher({ REASON: 'connect', PATH: '/bin:/usr/sbin:/sbin' }, ['chroot', root]);
    assert.equal(whatOf(handOver(child.pid)), 'another’s');
  });

  test('is left to the drain that it is addressed to', async () => {
    const { pid } = await launcher({ REASON: 'connect' });
    const name = handOver(pid, '1', { to: '4712' });
    assert.equal(whatOf(name), 'for another drain');
    assert.equal(whatOf(name, { ...OWN, born: '4712' }), 'call');
  });

  test('is left until it is written to its end', async () => {
    const { pid } = await launcher({ REASON: 'connect' });
    const whole = `${OWN.born}\n1 2 3\n${OWN.program}\n`;
    for (let length = 0; length < whole.length; length++) {
      const part = whole.slice(0, length);
      const name = handOver(pid);
      writeFileSync(join(folder, name), part);
      assert.equal(whatOf(name), 'nothing');
      assert.equal(existsSync(join(folder, name)), true, JSON.stringify(part));
      rmSync(join(folder, name));
    }
  });

  test('is nobody’s when its process has gone, or its id is that of a younger one', async () => {
    const old = uptime();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const child = await launcher({ REASON: 'connect' });
    assert.equal(
      whatOf(handOver(child.pid, '1', { at: old })),
      'left behind',
      'handed over before it was started',
    );
    await end(child);
    assert.equal(whatOf(handOver(child.pid)), 'left behind');
    for (const name of ['x', '1', '1.2', '-1.00', '../1.00', `${child.pid}.1.00`]) {
      assert.equal(whatOf(name), 'nothing', name);
    }
  });
});

describe('an answer', () => {
  async function called(
    REASON = 'connect',
  ): Promise<{ child: ChildProcess; call: Whose; file: string; onlyOnce: boolean }> {
    const child = await launcher({ REASON });
    const call = taken(handOver(child.pid));
    return { child, call, file: join(folder, call.name), onlyOnce: REASON !== 'connect' };
  }

  test('is there as a whole, and wakes who waits', async () => {
    const { child, call, file, onlyOnce } = await called();
    const answer = new Answer(folder, call, onlyOnce);
    answer.claim();
    assert.equal(readFileSync(file, 'utf8'), '\n', 'nothing to be read yet');
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
