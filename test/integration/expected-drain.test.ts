import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lchownSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { type Agent, CONNECT, expectsDrain, LAUNCHER, withoutReception } from './agent.ts';
import {
  awaited,
  awaitedInodes,
  BUSY,
  ownMachine,
  patience,
  takeAll,
  whereRunnable,
} from './busy-machine.ts';
import { EVENTS } from './events.ts';
import { withPortal } from './fixture.ts';
import { ALONE, sign } from './handed-over.ts';
import { PATIENT, until } from './leader.ts';
import { MOUNTS } from './mounts.ts';
import { over } from './stand-in.ts';

/** Whoever has its lock is a drain that is about to come; in it is when one was started last. */
const coming = (agent: Agent): string => join(agent.runDir, 'coming');

const isFree = (agent: Agent): boolean =>
  spawnSync('flock', ['--nonblock', coming(agent), 'true']).status === 0;

/** How many wait for it. */
function waiting(agent: Agent): number {
  const inode = existsSync(coming(agent)) ? statSync(coming(agent)).ino : 0;
  return awaitedInodes().filter((awaited) => awaited === inode).length;
}

/** As if the last had been started a minute and more before. */
function longAgo(agent: Agent): void {
  const [, ...rest] = readFileSync(coming(agent), 'latin1').split(' ');
  writeFileSync(coming(agent), [uptime() - 70, ...rest].join(' '));
}

const uptime = (): number => Math.floor(Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]));

/** A drain that never comes, and says who it is. */
class NeverComes implements Disposable {
  readonly script: string;
  readonly #said: string;

  constructor(agent: Agent) {
    this.#said = join(agent.folder, 'drains');
    writeFileSync(this.#said, '');
    this.script = `echo $$ >>${this.#said}; exec sleep 1000`;
  }

  get pids(): number[] {
    return readFileSync(this.#said, 'latin1').split('\n').filter(Boolean).map(Number);
  }

  end(): void {
    for (const pid of this.pids) process.kill(pid, 'SIGKILL');
    writeFileSync(this.#said, '');
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

describe('a drain that is started before many hooks', MOUNTS, () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: true } } });
  // One that takes calls, also where there is nothing to deliver.
  const install = async (hook: string = PATIENT[0]) => {
    const agent = await fixture.install(`${hook}\n[events]\nenabled = false`, PATIENT[1]);
    expectsDrain(agent);
    return agent;
  };
  /** On this very machine, which may really be busy, it may take longer than the two seconds for which it is waited for. */
  const patient = (launcher: string): string => {
    const text = readFileSync(launcher, 'utf8');
    assert.match(text, /^DRAIN_COMES_WITHIN=2$/m);
    writeFileSync(launcher, text.replace(/^DRAIN_COMES_WITHIN=2$/m, 'DRAIN_COMES_WITHIN=1000'));
    return launcher;
  };
  const connect = (agent: Agent, launcher: string, USERNAME = 'alice', ID = '1') =>
    agent.start({ ...CONNECT, USERNAME, ID }, [...whereRunnable(agent, BUSY), launcher]);

  /** A connect that waits for it. */
  const heldUp = async (agent: Agent, drain: NeverComes) => {
    const launcher = patient(over(agent, `exit ${ALONE}`, drain.script));
    patience(agent, '99');
    assert.equal((await connect(agent, launcher).ended).code, ALONE);
    await until(() => drain.pids.length === 1, 'one is started');
    const next = connect(agent, launcher);
    await until(() => waiting(agent) === 1, 'the next waits for it');
    return next;
  };

  test('is started by the first of them, and waited for by the others', async () => {
    await using agent = await install();
    using machine = await ownMachine(agent);
    const gate = join(agent.folder, 'gate');
    execFileSync('mkfifo', [gate]);
    // Nor may it give up what they wait for because two seconds are over: it is to do that as soon as it takes calls.
    const early = join(agent.folder, 'early.cjs');
    writeFileSync(
      early,
      `const { setTimeout } = globalThis;
       globalThis.setTimeout = (work, time, ...args) => setTimeout(work, time === 2_000 ? 600_000 : time, ...args);`,
    );
    const launcher = patient(
      over(agent, `exit ${ALONE}`, `read -r _ <${gate}; exec ${process.execPath} --require ${early} "$@"`),
    );
    await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [...machine.on(1), LAUNCHER]);
    patience(agent, '99');
    const command = [...machine.on(BUSY), launcher];
    const first = await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '2' }, command);
    assert.equal(first.code, ALONE, 'it does not wait itself');
    const others = ['alice', 'bob'].map((USERNAME, i) =>
      agent.start({ ...CONNECT, USERNAME, ID: `${i + 3}` }, command),
    );
    await until(() => waiting(agent) === 2, 'they wait');
    writeFileSync(gate, '\n');
    const answered = await Promise.all(others.map(({ ended }) => ended));
    assert.deepEqual(
      answered.map(({ code, decision }) => [code, decision?.['username'], decision?.['source']]),
      [
        [0, 'alice', 'cache'],
        [0, 'bob', 'portal'],
      ],
    );
    assert.ok(isFree(agent), 'whoever comes later need not wait');
    await until(() => agent.drain === null, 'it goes by itself');
  });

  test('is not waited for by whoever started it, and for ever by nobody', async () => {
    await using agent = await install();
    using drain = new NeverComes(agent);
    const launcher = over(agent, `exit ${ALONE}`, drain.script);
    patience(agent, '60');
    assert.equal((await connect(agent, launcher).ended).code, ALONE);
    await until(() => drain.pids.length === 1, 'one is started');
    const began = performance.now();
    assert.equal((await connect(agent, launcher).ended).code, ALONE);
    assert.ok(performance.now() - began >= 1_900, 'the next has waited for it');
    assert.equal(drain.pids.length, 1);
    patience(agent, '0');
    assert.equal((await connect(agent, launcher).ended).code, ALONE, 'also one that has no time to wait');
  });

  test('is not waited for once it is dead', async () => {
    await using agent = await install();
    using drain = new NeverComes(agent);
    const next = await heldUp(agent, drain);
    const began = performance.now();
    drain.end();
    assert.equal((await next.ended).code, ALONE);
    assert.ok(performance.now() - began < 90_000, 'by the lock, not by the time');
  });

  test('is started once in five seconds at most, whatever became of it', async () => {
    await using agent = await install();
    const started = join(agent.folder, 'started');
    const launcher = over(agent, `exit ${ALONE}`, `echo >>${started}; exit 1`);
    patience(agent, '60');
    const drains = () => readFileSync(started, 'latin1').length;
    const after = async (written: string): Promise<number> => {
      writeFileSync(coming(agent), written);
      const before = existsSync(started) ? drains() : 0;
      assert.equal((await connect(agent, launcher).ended).code, ALONE);
      // What was started has the lock before its launcher goes on.
      await until(() => isFree(agent), 'it has ended');
      return drains() - before;
    };
    assert.equal(await after(''), 1, 'the first since the machine was started');
    assert.equal(await after(`${uptime()}\n`), 0, 'just now');
    assert.equal(await after(`${uptime() - 6}\n`), 1, 'longer ago');
    assert.equal(await after(`${uptime() + 1_000}\n`), 1, 'before the machine was started anew');
    assert.equal(await after('soon\n'), 1, 'nobody knows when');
    assert.match(readFileSync(coming(agent), 'latin1'), /^\d+ 5 \d+ \d+ \S+\n$/);
  });

  test('is not started again for a minute where it cannot take calls: there is no time for two ways', async () => {
    await using agent = await install('[hook]\ndeadline = "21s"');
    const launcher = over(agent, `exit ${ALONE}`, `exec ${process.execPath} "$@"`);
    patience(agent, '60');
    assert.equal((await connect(agent, launcher).ended).code, ALONE);
    const noted = (): string => (existsSync(coming(agent)) ? readFileSync(coming(agent), 'latin1') : '');
    await until(() => / 60 /.test(noted()), 'it has said so');
    writeFileSync(coming(agent), `${uptime() - 50} 60\n`);
    assert.equal((await connect(agent, launcher).ended).code, ALONE);
    assert.match(noted(), / 60\n$/, 'nobody has written since');
    await until(() => agent.drain === null, 'it goes');
  });

  test('is not started where nobody else would come: on a machine that is not busy', async () => {
    await using agent = await install();
    const launcher = over(agent, `exit ${ALONE}`);
    patience(agent, '60');
    const command = [...whereRunnable(agent, BUSY - 1), launcher];
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'alice' }, command)).code, ALONE);
    assert.equal(existsSync(coming(agent)), false);
  });

  test('keeps nobody waiting for what it waits for itself', async () => {
    await using agent = await install();
    await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [...whereRunnable(agent, 1), LAUNCHER]);
    const db = new Database(agent.state);
    db.exec('BEGIN IMMEDIATE');
    try {
      const launcher = over(agent, `exit ${ALONE}`, `exec ${process.execPath} "$@"`);
      patience(agent, '60');
      assert.equal((await connect(agent, launcher, 'alice', '2').ended).code, ALONE);
      await until(() => isFree(agent), 'it has given up what they wait for');
      assert.equal(existsSync(sign(agent)), false);
      longAgo(agent);
      const before = readFileSync(coming(agent), 'latin1');
      assert.equal((await connect(agent, launcher, 'alice', '3').ended).code, ALONE);
      assert.equal(readFileSync(coming(agent), 'latin1'), before, 'nor is another started beside it');
    } finally {
      db.exec('ROLLBACK');
      db.close();
    }
    await until(() => existsSync(sign(agent)), 'it comes all the same');
    await until(() => agent.drain === null, 'and goes');
  });

  test('is not started again beside the one that it would leave the work to, and which takes no calls', async () => {
    await using agent = await fixture.install(`${PATIENT[0]}\n${EVENTS}`, PATIENT[1]);
    expectsDrain(agent);
    // Nobody can hand it a call.
    withoutReception(agent);
    const release = fixture.portal.hold('ReportConnect');
    await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [...whereRunnable(agent, 1), LAUNCHER]);
    await until(() => agent.drain !== null, 'it works');
    const drain = agent.drainThere;
    const launcher = over(agent, `exit ${ALONE}`, `exec ${process.execPath} "$@"`);
    patience(agent, '60');
    assert.equal((await connect(agent, launcher, 'alice', '2').ended).code, ALONE);
    await until(() => readFileSync(coming(agent), 'latin1').includes(` 0 ${drain} `), 'it has said so');
    longAgo(agent);
    const before = readFileSync(coming(agent), 'latin1');
    assert.equal((await connect(agent, launcher, 'alice', '3').ended).code, ALONE);
    assert.equal(readFileSync(coming(agent), 'latin1'), before);
    process.kill(drain, 'SIGKILL');
    await until(() => agent.drain === null, 'it is dead');
    assert.equal((await connect(agent, launcher, 'alice', '4').ended).code, ALONE);
    assert.notEqual(readFileSync(coming(agent), 'latin1'), before, 'but after it');
    release();
    await until(() => agent.drain !== null, 'it comes');
    await until(() => agent.drain === null, 'and goes');
  });

  test('takes a call also after those that it came too late for wait for a turn of their own', async () => {
    await using agent = await install();
    using machine = await ownMachine(agent);
    const gate = join(agent.folder, 'gate');
    execFileSync('mkfifo', [gate]);
    const drain = `read -r _ <${gate}; exec ${process.execPath} "$@"`;
    const launcher = over(agent, `exit ${ALONE}`, drain);
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'bob' }, [...machine.on(1), LAUNCHER])).code, 0);
    using _taken = await takeAll(agent);
    // Until the next turn, which is longer than the drain would stay without any call.
    patience(agent, '5');
    const command = [...machine.on(BUSY), launcher];
    const first = agent.start({ ...CONNECT, USERNAME: 'alice', ID: '3' }, command);
    await until(() => awaited(agent).length === 1, 'the first waits for its turn');
    const next = agent.start({ ...CONNECT, USERNAME: 'bob', ID: '4' }, command);
    await until(() => awaited(agent).length === 2, 'the next has waited for the drain in vain');
    writeFileSync(gate, '\n');
    const [one, two] = await Promise.all([first.ended, next.ended]);
    assert.deepEqual([one.decision?.['username'], two.decision?.['username']], ['alice', 'bob'], one.stderr);
    assert.deepEqual([one.code, two.code], [0, 0]);
  });

  test('is not sent for by what a stranger has put there', async () => {
    await using agent = await install();
    const victim = join(agent.folder, 'victim');
    writeFileSync(victim, 'precious\n');
    chmodSync(agent.runDir, 0o777);
    patience(agent, '60');
    const started = join(agent.folder, 'started');
    const launcher = over(agent, `exit ${ALONE}`, `echo >${started}`);
    for (const put of [
      () => symlinkSync(victim, coming(agent)),
      () => execFileSync('mkfifo', [coming(agent)]),
      () => writeFileSync(coming(agent), ''),
    ]) {
      rmSync(coming(agent), { force: true });
      put();
      lchownSync(coming(agent), 65_534, 65_534);
      assert.equal((await connect(agent, launcher).ended).code, ALONE);
    }
    assert.equal(readFileSync(victim, 'latin1'), 'precious\n');
    assert.equal(existsSync(started), false);
  });

  test('is not waited for by a connect that is told to end: it is refused', async () => {
    await using agent = await install();
    using drain = new NeverComes(agent);
    const { child, ended } = await heldUp(agent, drain);
    child.kill('SIGTERM');
    assert.equal((await ended).code, 5);
  });

  test('is what the real program is, too: one that has died is followed by another', async () => {
    await using agent = await install();
    using machine = await ownMachine(agent);
    await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [...machine.on(1), LAUNCHER]);
    patience(agent, '60');
    const command = [...machine.on(BUSY), LAUNCHER];
    const attendant = () =>
      existsSync(sign(agent)) ? readFileSync(sign(agent), 'latin1').split(' ')[0] : '';
    for (const ID of ['2', '3']) {
      const before = attendant();
      assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'alice', ID }, command)).code, 0);
      await until(() => attendant() !== before, 'a drain takes calls');
      process.kill(Number(attendant()), 'SIGKILL');
      writeFileSync(coming(agent), '');
    }
  });
});
