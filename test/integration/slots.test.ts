import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { type Agent, CONNECT, DISCONNECT, LAUNCHER } from './agent.ts';
import { awaited, patience, SLOTS, takeAll } from './busy-machine.ts';
import { WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';
import { holding, PATIENT, questions, until } from './leader.ts';
import { over, STRANGER, withProcesses } from './stand-in.ts';

const runnable = (): number => Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'latin1'))?.[1]);

const isFree = (agent: Agent, slot: string): boolean =>
  spawnSync('flock', ['--nonblock', join(agent.runDir, slot), 'true']).status === 0;

const slots = (agent: Agent): string[] =>
  readdirSync(agent.runDir).filter((name) => name.startsWith('slot-'));

/** A hook of this launcher's runs, and has been given a slot. It opens the file before that, so to see this alone tells nothing. */
function hasStarted({ pid }: ChildProcess): boolean {
  return readdirSync('/proc').some((name) => {
    try {
      const environment = readFileSync(join('/proc', name, 'environ'), 'latin1').split('\0');
      return environment.includes('OCAGENT_SLOT=9') && environment.includes(`OCAGENT_LAUNCHER=${pid}`);
    } catch {
      return false; // No process, or none any more.
    }
  });
}

/** Waits until the hook has started with a slot and has left it. */
async function leftSlot(agent: Agent, launcher: ChildProcess): Promise<void> {
  await until(() => hasStarted(launcher), 'it has started, with a slot');
  await until(() => slots(agent).every((slot) => isFree(agent, slot)), 'it has left its slot');
}

describe('how long a hook may wait for its slot', () => {
  const fixture = withPortal({ default: { allowed: true } });
  const written = (agent: Agent): string => readFileSync(join(agent.runDir, 'patience'), 'utf8');

  test('is written down by the first hook, for those of its configuration', async () => {
    await using agent = await fixture.install();
    rmSync(agent.runDir, { recursive: true });
    await agent.disconnect('alice');
    assert.equal(written(agent), '4\n', 'of 8 seconds, the default');
    // And what the launcher makes, if this machine is really busy.
    const left = readdirSync(agent.runDir).filter((name) => !/^(slot-\d+|coming)$/.test(name));
    assert.deepEqual([statSync(agent.runDir).mode & 0o777, left], [0o700, ['patience']]);
    const { ino } = statSync(join(agent.runDir, 'patience'));
    await agent.connect('alice');
    assert.equal(statSync(join(agent.runDir, 'patience')).ino, ino, 'once');
    agent.configure(
      { address: fixture.portal.address, config: '[hook]\ndeadline = "5s"' },
      fixture.certificates,
    );
    await agent.connect('alice');
    assert.equal(written(agent), '2\n');
  });

  test('is not written where somebody else has the folder', async () => {
    await using agent = await fixture.install();
    rmSync(agent.runDir, { recursive: true });
    mkdirSync(agent.runDir, { mode: 0o777 });
    chownSync(agent.runDir, 65_534, 65_534);
    assert.equal((await agent.connect('alice')).code, 0);
    assert.deepEqual(readdirSync(agent.runDir), []);
  });
});

describe('on a busy machine', () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: true } } });
  const spinners: ChildProcess[] = [];

  before(async () => {
    for (let i = 0; i < 3 * availableParallelism(); i++)
      spinners.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
    await until(() => runnable() > 2 * availableParallelism() + 1, 'the machine is busy');
  });
  after(() => {
    for (const spinner of spinners) spinner.kill('SIGKILL');
  });

  test('a hook starts when a slot is free', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "100s"');
    using taken = await takeAll(agent);
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await until(() => awaited(agent).length > 0, 'the hook waits');
    assert.equal(fixture.portal.callsOf('CheckPolicy').length, 0);
    const [slot] = awaited(agent);
    assert.ok(slot !== undefined);
    taken.leave(slot);
    const run = await ended;
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.decision?.['source'], 'portal');
    assert.ok(isFree(agent, `slot-${slot}`), 'it gives the slot back');
  });

  test('a hook is told when it had its turn, with a slot or without', async () => {
    await using agent = await fixture.install();
    const told = join(agent.folder, 'told');
    const launcher = over(agent, `echo "$OCAGENT_SLOT,$OCAGENT_TURN" >${told}; exit 0`);
    const uptime = (): number => Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
    const assertToldSince = (since: number, expected: string): void => {
      const [slot, turn] = readFileSync(told, 'latin1').trim().split(',');
      assert.equal(slot, expected);
      assert.ok(Number(turn) >= since && Number(turn) <= uptime(), `${turn} since ${since}`);
    };
    using taken = await takeAll(agent);
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, [launcher]);
    await until(() => awaited(agent).length > 0, 'the hook waits');
    const before = uptime();
    taken.leaveAll();
    assert.equal((await ended).code, 0);
    assertToldSince(before, '9');
    using _again = await takeAll(agent);
    patience(agent, '1');
    const then = uptime();
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [launcher])).code, 0);
    assertToldSince(then + 2.9, '');
  });

  test('the deadline of a hook counts from its turn: it asks the portal although it has passed since it was called', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "3500ms"', 'timeout = "3s"');
    using taken = await takeAll(agent);
    patience(agent, '2');
    const run = await agent.connect('alice');
    assert.equal(run.decision?.['source'], 'portal', run.stderr);
    assert.ok(Number(run.decision['duration_ms']) >= 5_900, 'what ocserv has waited is what is logged');
    taken.leaveAll();
  });

  test('a hook tries the next slot: who has the first may have stopped', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "100s"');
    using taken = await takeAll(agent);
    patience(agent, '1');
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await until(() => awaited(agent).length > 0, 'the hook waits');
    const [slot = 0] = awaited(agent);
    taken.leave((slot + 1) % SLOTS);
    const run = await ended;
    assert.equal(run.code, 0, run.stderr);
    assert.ok(Number(run.decision?.['duration_ms']) < 2_900, 'it has not waited for all three');
  });

  test('a hook does not wait for ever: who has the slot may have stopped', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "100s"');
    using taken = await takeAll(agent);
    patience(agent, '1');
    const run = await agent.connect('alice');
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.decision?.['source'], 'portal');
    assert.ok(Number(run.decision['duration_ms']) >= 2_900, 'it has tried three');
    assert.equal(
      readFileSync(join(agent.runDir, 'patience'), 'utf8'),
      '10\n',
      'the next may wait by its own deadline',
    );
    taken.leaveAll();
  });

  test('a hook that has no time to wait starts at once', async () => {
    await using agent = await fixture.install();
    using taken = await takeAll(agent);
    patience(agent, '0');
    assert.equal((await agent.connect('alice')).code, 0);
    taken.leaveAll();
  });

  test('SIGTERM ends a connect that waits for a slot, and it is refused', async () => {
    await using agent = await fixture.install();
    using taken = await takeAll(agent);
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await until(() => awaited(agent).length > 0, 'the hook waits');
    child.kill('SIGTERM');
    assert.equal((await ended).code, 5);
    taken.leaveAll();
    await until(() => awaited(agent).length === 0, 'nothing waits any more');
    assert.equal(fixture.portal.callsOf('CheckPolicy').length, 0);
  });

  test('a hook that waits for the portal, or for its sibling, keeps nobody from starting', async () => {
    await using agent = await fixture.install(...PATIENT);
    patience(agent, '60');
    const release = fixture.portal.hold('CheckPolicy');
    const first = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await fixture.portal.arrived(1, 'CheckPolicy');
    assert.equal(slots(agent).length, 1);
    assert.ok(slots(agent).every((slot) => isFree(agent, slot)));
    const second = agent.start({ ...CONNECT, USERNAME: 'bob', ID: '4712' });
    await fixture.portal.arrived(2, 'CheckPolicy');
    assert.equal(questions(agent).length, 1, 'the other waits for its sibling');
    assert.ok(slots(agent).every((slot) => isFree(agent, slot)));
    release();
    for (const { ended } of [first, second]) {
      const run = await ended;
      assert.equal(run.code, 0, run.stderr);
    }
  });

  test('a hook that asks the portal without a state keeps nobody from starting', async () => {
    await using agent = await fixture.install(...PATIENT);
    patience(agent, '60');
    mkdirSync(agent.state);
    using held = holding(fixture.portal);
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await fixture.portal.arrived(1, 'CheckPolicy');
    assert.ok(hasStarted(child), 'it has been given a slot');
    assert.ok(slots(agent).every((slot) => isFree(agent, slot)));
    held.release();
    const run = await ended;
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.decision?.['source'], 'portal');
  });

  test('a disconnect that waits for the state keeps nobody from starting', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    patience(agent, '60');
    const db = new Database(agent.state);
    db.exec('BEGIN IMMEDIATE');
    const { child, ended } = agent.start({ ...DISCONNECT, USERNAME: 'alice' });
    await leftSlot(agent, child);
    db.exec('ROLLBACK');
    db.close();
    assert.equal((await ended).code, 0);
  });

  for (const [what, call] of Object.entries({
    disconnect: DISCONNECT,
    'host-update': { ...CONNECT, REASON: 'host-update' },
  })) {
    // A host-update gives the state up so soon that it cannot be watched while it waits.
    test(`a ${what} leaves its slot before it opens the state`, async () => {
      await using agent = await fixture.install();
      await agent.connect('alice');
      patience(agent, '60');
      const open = join(agent.folder, 'open');
      const spy = join(agent.folder, 'spy.cjs');
      writeFileSync(
        spy,
        `const fs = require('node:fs');
         const { closeSync } = fs;
         fs.closeSync = (fd) => {
           closeSync(fd);
           if (fd !== 9) return;
           const open = fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } });
           fs.writeFileSync(${JSON.stringify(open)}, open.join('\\n'));
         };`,
      );
      const [node = '', boot = ''] = WITHOUT_DRAIN;
      const launcher = over(agent, `exec ${node} --require ${spy} ${boot}`);
      const run = await agent.hook({ ...call, USERNAME: 'alice' }, [launcher]);
      assert.equal(run.code, 0, run.stderr);
      assert.doesNotMatch(readFileSync(open, 'utf8'), /state\.db/);
    });
  }

  test('a hook that only waits for its log to be read keeps nobody from starting', async () => {
    await using agent = await fixture.install();
    patience(agent, '60');
    const pipe = join(agent.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { O_RDWR, O_NONBLOCK } = constants;
    const fd = openSync(pipe, O_RDWR | O_NONBLOCK);
    const full = Buffer.alloc(1 << 20);
    const filled = writeSync(fd, full);
    // One that is refused: it has nothing else to wait for.
    const { child, ended } = agent.start({ ...CONNECT, REASON: 'nothing' }, [
      'sh',
      '-c',
      'exec "$0" 2>"$1"',
      LAUNCHER,
      pipe,
    ]);
    await leftSlot(agent, child);
    for (let read = 0; read < filled; ) read += readSync(fd, full);
    assert.equal((await ended).code, 2);
    const line = full.toString('utf8', 0, readSync(fd, full));
    assert.match(line, /unknown REASON/, 'it was there still, to say so, when it had left its slot');
    closeSync(fd);
  });

  for (const [what, call] of Object.entries({ connect: CONNECT, disconnect: DISCONNECT })) {
    test(`a ${what} starts without a slot where no process can be made to wait for one`, async (t) => {
      if (process.getuid?.() !== 0) return t.skip('only root can be somebody else');
      await using agent = await fixture.install();
      const said = join(agent.folder, 'said');
      const launcher = over(agent, `echo "try $OCAGENT_TRY slot $OCAGENT_SLOT" >>${said}; exit $EXIT`);
      patience(agent, '60');
      execFileSync('chown', ['-R', `${STRANGER}:${STRANGER}`, agent.folder]);
      // One more, and it would get its slot: the launcher, the shell that waits for flock, and flock.
      for (const [most, slot] of [
        [2, ''],
        [3, '9'],
      ] as const) {
        rmSync(said, { force: true });
        const run = await agent.hook({ ...call, USERNAME: 'alice', EXIT: '1' }, [
          ...withProcesses(most),
          launcher,
        ]);
        assert.equal(run.code, 1, 'the status is its own');
        assert.equal(readFileSync(said, 'latin1'), `try 1 slot ${slot}\n`);
        assert.equal(run.stderr, '');
      }
    });
  }

  for (const [what, prepare] of Object.entries({
    'the folder cannot be made': (agent: Agent) => {
      rmSync(agent.runDir, { recursive: true });
      writeFileSync(agent.runDir, '');
    },
    'what is written is no time': (agent: Agent) => patience(agent, '6; exit 0'),
    'what is written is far too long': (agent: Agent) => patience(agent, '100'),
    'the folder is somebody else’s': (agent: Agent) => {
      patience(agent, '6');
      chownSync(agent.runDir, 65_534, 65_534);
    },
    'a slot cannot be opened': (agent: Agent) => {
      patience(agent, '6');
      for (let slot = 0; slot < SLOTS; slot++) mkdirSync(join(agent.runDir, `slot-${slot}`));
    },
  })) {
    test(`a hook starts without a slot where ${what}, and says nothing of it`, async () => {
      await using agent = await fixture.install();
      prepare(agent);
      const run = await agent.connect('alice');
      assert.equal(run.code, 0, run.stderr);
      assert.deepEqual(
        run.log.map(({ msg }) => msg),
        ['connect allowed'],
      );
      if (!what.includes('cannot')) assert.deepEqual(slots(agent), []);
    });
  }
});
