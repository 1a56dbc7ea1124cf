import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isAlive, statOf } from '../../src/state/process.ts';
import { CONNECT, LAUNCHER } from './agent.ts';
import { withPortal } from './fixture.ts';
import { holding, leader, PATIENT, questions, until, Waiter } from './leader.ts';

const POLICY = {
  default: { allowed: false, reason: 'unknown' },
  users: {
    alice: { allowed: true },
    denied: { allowed: false, reason: 'locked' },
    waiter: { allowed: true },
  },
};

/** Sends it if it still can be sent: whether a process has just ended is not the question. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has gone.
  }
}

const parentOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
};

describe('a signal of a stranger’s to the launcher', () => {
  const fixture = withPortal(POLICY);

  for (const signal of [
    'SIGUSR1',
    'SIGUSR2',
    'SIGALRM',
    'SIGHUP',
    'SIGCONT',
    'SIGWINCH',
    'SIGCHLD',
  ] as const) {
    test(`lets nobody in while the portal is asked: ${signal}`, async () => {
      await using agent = await fixture.install(...PATIENT);
      using held = holding(fixture.portal);
      const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'denied' });
      await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
      for (let n = 0; n < 20; n++) {
        send(child.pid ?? 0, signal);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      held.release();
      const run = await ended;
      assert.notEqual(run.code, 0, run.stderr);
      if (signal === 'SIGUSR1') assert.equal(run.code, 1, 'it waits on, and gives what was decided');
      assert.equal(agent.query('SELECT * FROM session').length, 0);
    });
  }

  test('is no answer at any moment of a connect: SIGUSR1', async () => {
    await using agent = await fixture.install(...PATIENT);
    for (let i = 0; i < 12; i++) {
      const user = i % 2 === 0 ? 'denied' : 'alice';
      const { child, ended } = agent.start({ ...CONNECT, USERNAME: user, ID: `${i}` });
      let over = false;
      void ended.then(() => {
        over = true;
      });
      // Before its trap is set a shell is killed by it, as any program is; this one is there once it has a child.
      await until(() => over || childrenOf(child.pid ?? 0).length > 0, 'the launcher has a child');
      while (!over) {
        send(child.pid ?? 0, 'SIGUSR1');
        await new Promise((resolve) => setTimeout(resolve, 1 + (i % 3)));
      }
      const run = await ended;
      assert.equal(run.signal, null);
      assert.equal(run.code, user === 'denied' ? 1 : 0, run.stderr);
    }
  });
});

function childrenOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
  } catch {
    return [];
  }
}

describe('a launcher that cannot be told anything', () => {
  const fixture = withPortal(POLICY);
  const DEAF = ['/bin/sh', '-c', `trap '' USR1; exec "$0"`, LAUNCHER];

  for (const [user, code] of [
    ['alice', 0],
    ['denied', 1],
  ] as const) {
    test(`has its answer, ${code}, by the end of its process, and who waits is answered by the next one`, async () => {
      await using agent = await fixture.install(...PATIENT);
      const releaseOwn = fixture.portal.hold('CheckPolicy');
      const { ended } = agent.start({ ...CONNECT, USERNAME: user }, DEAF);
      await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
      const pid = leader(agent);
      using waiter = new Waiter(agent, 'waiter');
      releaseOwn();
      // Were it to stay, its launcher would wait for as long as it does.
      const run = await ended;
      assert.equal(run.code, code, run.stderr);
      assert.equal(run.signal, null);
      assert.equal(run.log.length, 1, run.stderr);
      assert.equal(isAlive(pid), false);
      assert.equal(agent.query('SELECT * FROM session').length, code === 0 ? 1 : 0);
      assert.equal(waiter.answer, null);
      using held = holding(fixture.portal);
      const next = agent.connect('mallory', { ID: '2' });
      await fixture.portal.arrived(2, 'CheckPolicy', 60_000);
      assert.notEqual(leader(agent), pid);
      held.release();
      assert.equal((await next).code, 1);
      await until(() => waiter.answer !== null, 'the waiter is answered');
    });
  }

  test('has its answer also where SIGTERM comes while its process tries to tell it', async () => {
    await using agent = await fixture.install(...PATIENT);
    const releaseOwn = fixture.portal.hold('CheckPolicy');
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, DEAF);
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const pid = leader(agent);
    using _waiter = new Waiter(agent, 'waiter');
    releaseOwn();
    await until(() => !isAlive(pid) || statOf(pid).name === 'ocagent=0', 'it says its answer');
    send(pid, 'SIGTERM');
    const run = await ended;
    assert.equal(run.code, 0, run.stderr);
    assert.equal(agent.query('SELECT * FROM session').length, 1);
  });

  test('and one that was killed is told nothing, nor is whoever takes its child', async (t) => {
    const number = { x64: 157, arm64: 167 }[process.arch as string];
    if (number === undefined) return t.skip('prctl has no number here');
    await using agent = await fixture.install(...PATIENT);
    const seen = join(agent.folder, 'seen');
    writeFileSync(seen, '');
    // As init would, it takes the children of those that die; 36 is PR_SET_CHILD_SUBREAPER.
    const reaper = `
      use Errno;
      $SIG{USR1} = sub { open(my $f, '>>', '${seen}'); print $f "USR1\\n"; close $f };
      syscall(${number}, 36, 1, 0, 0, 0) == 0 or exit 9;
      my $launcher = fork;
      if ($launcher == 0) { exec @ARGV; }
      my $pid;
      do { $pid = wait } until $pid == -1 && $!{ECHILD};
      exit 7;`;
    const releaseOwn = fixture.portal.hold('CheckPolicy');
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, ['perl', '-e', reaper, LAUNCHER]);
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const pid = leader(agent);
    const launcher = parentOf(pid);
    assert.equal(parentOf(launcher), child.pid);
    using waiter = new Waiter(agent, 'waiter');
    process.kill(launcher, 'SIGKILL');
    await until(() => parentOf(pid) === child.pid, 'it is another one’s child');
    releaseOwn();
    assert.equal((await ended).code, 7);
    assert.equal(readFileSync(seen, 'utf8'), '');
    assert.equal(isAlive(pid), false);
    assert.deepEqual(
      questions(agent).filter((row) => row.pid !== waiter.pid),
      [],
    );
  });

  test('is no debugger for whoever sends it SIGUSR1, and goes on', async () => {
    await using agent = await fixture.install(...PATIENT);
    const releaseOwn = fixture.portal.hold('CheckPolicy');
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    process.kill(leader(agent), 'SIGUSR1');
    releaseOwn();
    const { code, stderr, log } = await ended;
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      log.map(({ msg }) => msg),
      ['connect allowed'],
    );
  });

  test('started by somebody who says to be a launcher, and is none, tells nobody', async () => {
    await using agent = await fixture.install(...PATIENT);
    const releaseOwn = fixture.portal.hold('CheckPolicy');
    const seen = join(agent.folder, 'seen');
    writeFileSync(seen, '');
    const home = LAUNCHER.replace('/bin/ocagent-hook', '');
    const other = `trap 'echo USR1 >>${seen}' USR1; OCAGENT_LAUNCHER=1 "$0/node_modules/.bin/node" "$0/dist/boot.cjs"; exit $?`;
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'denied' }, ['/bin/sh', '-c', other, home]);
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    using waiter = new Waiter(agent, 'waiter');
    releaseOwn();
    assert.equal((await ended).code, 1);
    assert.equal(readFileSync(seen, 'utf8'), '');
    assert.equal(waiter.answer, null, 'it cannot stay');
    assert.equal(leader(agent), 0);
  });
});
