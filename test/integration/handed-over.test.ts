import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, DISCONNECT, hearsSigterm, LAUNCHER } from './agent.ts';
import { awaited, takeAll } from './busy-machine.ts';
import { EVENTS, gone, pending, stderrOf } from './events.ts';
import { withPortal } from './fixture.ts';
import { ALONE, attended, fillPipe, pipeAt, readPipe, sign, startWith, withoutNode } from './handed-over.ts';
import { PATIENT, until } from './leader.ts';
import { decliningDrain, hangingDrain, retiringDrain, silentDrain } from './odd-drains.ts';
import { over } from './stand-in.ts';

const SHELLS = [['sh'], ['bash', '--posix'], ['bash']] as const;

const sessionsOf = (agent: Agent, username: string): unknown[] =>
  agent.query(`SELECT * FROM session WHERE username = '${username}'`);

describe('a call, while a drain is there', () => {
  const fixture = withPortal({
    default: { allowed: false, reason: 'unknown' },
    users: { alice: { allowed: true, routes: ['10.0.0.0/8'] }, bob: { allowed: true } },
  });
  const [config, portal] = PATIENT;
  const install = async (): Promise<Agent> => {
    const agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    await attended(agent);
    return agent;
  };

  test('is answered by it, as by a process of its own', async () => {
    await using agent = await install();
    const command = withoutNode(agent);
    const connect = (USERNAME: string, ID: string) => agent.hook({ ...CONNECT, USERNAME, ID }, command);

    const asked = await connect('alice', '1');
    assert.equal(asked.code, 0, asked.stderr);
    assert.deepEqual(
      [asked.decision?.['source'], asked.decision?.['username'], asked.decision?.['routes']],
      ['portal', 'alice', ['10.0.0.0/8']],
    );
    assert.equal(asked.log.length, 1, 'its log is its own');
    assert.equal(asked.stdout, '');
    const cached = await connect('alice', '2');
    assert.deepEqual([cached.code, cached.decision?.['source']], [0, 'cache'], cached.stderr);
    const denied = await connect('mallory', '3');
    assert.deepEqual([denied.code, denied.decision?.['reason']], [1, 'unknown'], denied.stderr);
    const invalid = await connect('', '4');
    assert.deepEqual([invalid.code, invalid.decision?.['source']], [1, 'invalid'], invalid.stderr);

    const updated = await agent.hook(
      { ...CONNECT, REASON: 'host-update', USERNAME: 'alice', ID: '1', REMOTE_HOSTNAME: 'lap' },
      command,
    );
    assert.equal(updated.code, 0, updated.stderr);
    const figures = { STATS_BYTES_IN: '18446744073709551615', STATS_BYTES_OUT: '7', STATS_DURATION: '9' };
    const ended = await agent.hook({ ...DISCONNECT, USERNAME: 'alice', ID: '1', ...figures }, command);
    assert.equal(ended.code, 0, ended.stderr);
    const [line] = ended.log;
    assert.deepEqual(
      [line?.['msg'], line?.['known'], line?.['bytes_in'], line?.['hostname']],
      ['disconnect recorded', true, '18446744073709551615', undefined],
    );
    await fixture.portal.arrived(1, 'ReportDisconnect');
    const [told] = fixture.portal.callsOf('ReportDisconnect');
    assert.equal(told?.request.stats?.bytesReceived, 18_446_744_073_709_551_615n);
    await gone(agent);
    assert.equal(pending(agent), 0);
    const left = ['calls', 'answers'].flatMap((folder) => readdirSync(join(agent.runDir, folder)));
    assert.deepEqual([left, existsSync(sign(agent))], [[], false], 'and nothing is left behind');
  });

  test('counts from the start of the process that ocserv has started', async () => {
    await using agent = await install();
    const [launcher = ''] = withoutNode(agent);
    const { code, decision, stderr } = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, [
      'sh',
      '-c',
      'sleep 0.3; exec "$0"',
      launcher,
    ]);
    assert.equal(code, 0, stderr);
    const took = Number(decision?.['duration_ms']);
    assert.ok(took >= 300 && took < 30_000, `${took} ms`);
  });

  test('is refused by SIGTERM at once, and nothing of it is recorded', async () => {
    await using agent = await install();
    const release = fixture.portal.hold('CheckPolicy');
    const before = fixture.portal.callsOf('CheckPolicy').length;
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'bob' }, withoutNode(agent));
    await fixture.portal.arrived(before + 1, 'CheckPolicy');
    const sent = performance.now();
    child.kill('SIGTERM');
    const run = await ended;
    assert.equal(run.code, 5, run.stderr);
    assert.ok(performance.now() - sent < 4_000, 'ocserv waits for it, and with it everybody');
    release();
    // The next one is answered after the one before.
    const next = await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '2' }, withoutNode(agent));
    assert.equal(next.code, 0, next.stderr);
    assert.deepEqual(sessionsOf(agent, 'bob'), []);
    assert.equal(run.stderr, '');
  });

  for (const shell of SHELLS) {
    test(`is refused by SIGTERM at any moment, or answered, and recorded accordingly (${shell.join(' ')})`, async () => {
      await using agent = await install();
      const command = [...shell, ...withoutNode(agent)];
      const codes = new Map<string, number | null>();
      for (let delay = 0; delay < 40; delay++) {
        const ID = `${8_000 + delay}`;
        const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice', ID }, command);
        // It can have ended by then.
        await Promise.race([hearsSigterm(child).catch(() => {}), ended]);
        // Not synchronisation: the moment itself is what is tried.
        setTimeout(() => child.kill('SIGTERM'), delay);
        const run = await ended;
        assert.equal(run.signal, null, run.stderr);
        assert.ok(run.code === 0 || run.code === 5, `status ${run.code} after ${delay} ms: ${run.stderr}`);
        codes.set(ID, run.code);
      }
      // It is answered after all of them.
      assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '1' }, command)).code, 0);
      for (const [ID, code] of codes) {
        const recorded = agent.query(`SELECT 1 FROM session WHERE ocserv_id = '${ID}'`).length;
        assert.equal(recorded, code === 0 ? 1 : 0, `status ${code}, ${ID}`);
      }
      assert.deepEqual(new Set(codes.values()), new Set([0, 5]));
    });
  }

  for (const shell of SHELLS) {
    test(`is refused by SIGTERM also once the drain has declined it (${shell.join(' ')})`, async () => {
      await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
      // As long as it can be told to end.
      const command = [...shell, over(agent, 'sleep 5; exit 0')];
      using _drain = decliningDrain(agent);
      for (let delay = 0; delay < 30; delay++) {
        const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'bob' }, command);
        await hearsSigterm(child);
        // Not synchronisation: the moment itself is what is tried.
        setTimeout(() => child.kill('SIGTERM'), delay);
        const run = await ended;
        assert.deepEqual([run.code, run.stderr], [5, ''], `after ${delay} ms`);
      }
    });
  }

  test('waits for a slot when it was declined: others may have been, too', async () => {
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    using _drain = decliningDrain(agent);
    using taken = await takeAll(agent);
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'bob' }, withoutNode(agent));
    await until(() => awaited(agent).length > 0, 'it waits');
    taken.leaveAll();
    assert.equal((await ended).code, ALONE);
  });

  test('is never answered by the drain of another configuration', async () => {
    await using agent = await install();
    // What a launcher of that one may have read just before this drain has put up its own.
    const other = `${agent.configFile}.other`;
    writeFileSync(sign(agent), readFileSync(sign(agent), 'utf8').replace(agent.configFile, other));
    const run = await agent.hook(
      { ...CONNECT, USERNAME: 'alice', OCAGENT_CONFIG: other },
      withoutNode(agent),
    );
    assert.equal(run.code, ALONE, run.stderr);
    assert.equal(agent.query('SELECT * FROM session').length, 1);
  });

  test('is never answered by a drain that sees other files under the same names', async () => {
    await using agent = await install();
    const other = `${agent.configFile}.other`;
    writeFileSync(other, readFileSync(agent.configFile));
    const [program = ''] = withoutNode(agent);
    const bound = 'mount --bind "$0" "$1" && exec "$2"';
    const run = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, [
      ...['unshare', '--mount', 'sh', '-c', bound, other, agent.configFile, program],
    ]);
    assert.equal(run.code, ALONE, run.stderr);
    assert.deepEqual(sessionsOf(agent, 'bob'), []);
  });

  test('is never answered by another program than its launcher would run', async () => {
    await using agent = await install();
    const command = withoutNode(agent);
    const boot = join(agent.folder, 'home', 'dist', 'boot.cjs');
    rmSync(boot);
    writeFileSync(boot, 'the next release\n');
    const run = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, command);
    assert.equal(run.code, ALONE, run.stderr);
    assert.deepEqual(sessionsOf(agent, 'bob'), []);
  });

  for (const shell of SHELLS) {
    test(`is answered by the drain that has taken it, though this takes no more (${shell.join(' ')})`, async () => {
      await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
      using _drain = retiringDrain(agent, 1_500);
      const [program = ''] = withoutNode(agent);
      const run = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, [...shell, program]);
      assert.equal(run.code, 0, run.stderr);
    });
  }

  test('is refused, with a line that says so, when the drain that has it says nothing for too long', async () => {
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    using _drain = silentDrain(agent);
    const run = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, withoutNode(agent));
    assert.equal(run.code, 137);
    assert.match(run.stderr, /"level":"error","msg":"connect refused: the drain that has it did not answer/);
    assert.equal(run.log[0]?.['username'], 'bob');
  });

  test('is refused by SIGTERM soon also when the drain that has it says nothing', async () => {
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    using drain = silentDrain(agent, 60);
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'bob' }, withoutNode(agent));
    await until(() => drain.taken > 0, 'it is taken');
    child.kill('SIGTERM');
    assert.equal((await ended).code, 5);
  });

  test('counts against the deadline while a drain has it in vain', async () => {
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    using _drain = hangingDrain(agent);
    const command = [over(agent, 'echo "$OCAGENT_HANDED $OCAGENT_BACK $OCAGENT_TURN" >&2')];
    const run = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, command);
    const [handed = 0, back = 0, turn = 0] = run.stderr.split(' ').map(Number);
    assert.equal(readdirSync(join(agent.runDir, 'answers'))[0]?.replace(/^\d+\./, ''), handed.toFixed(2));
    assert.ok(back - handed >= 1.9 && turn >= back, run.stderr);
  });

  test('is answered by a process of its own when the drain dies', async () => {
    await using agent = await install();
    const release = fixture.portal.hold('CheckPolicy');
    const before = fixture.portal.callsOf('CheckPolicy').length;
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'bob' });
    await fixture.portal.arrived(before + 1, 'CheckPolicy');
    process.kill(agent.drainThere, 'SIGKILL');
    await fixture.portal.arrived(before + 2, 'CheckPolicy');
    release();
    const { code, decision, stderr } = await ended;
    assert.deepEqual([code, decision?.['source']], [0, 'portal'], stderr);
    assert.equal(sessionsOf(agent, 'bob').length, 1);
  });

  test('is answered by a process of its own when the drain has stopped, and by nobody else later', async () => {
    await using agent = await install();
    const drain = agent.drainThere;
    const before = fixture.portal.callsOf('CheckPolicy').length;
    process.kill(drain, 'SIGSTOP');
    const { code, stderr } = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, withoutNode(agent));
    assert.equal(code, ALONE, stderr);
    process.kill(drain, 'SIGCONT');
    await until(() => readdirSync(join(agent.runDir, 'calls')).length === 0, 'it has seen the call');
    const next = await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '2' }, withoutNode(agent));
    assert.equal(next.code, 0, next.stderr);
    assert.equal(
      fixture.portal.callsOf('CheckPolicy').length,
      before + (next.decision?.['source'] === 'portal' ? 1 : 0),
    );
    assert.deepEqual(sessionsOf(agent, 'bob'), []);
  });

  test('is told of as lost where its hook was killed before it was read, unless that had taken it back', async () => {
    await using agent = await install();
    const [, born] = readFileSync(sign(agent), 'utf8').split(' ');
    const leftBehind = async (isTakenBack: boolean): Promise<number> => {
      const { pid } = spawnSync('true');
      const name = `${pid}.${readFileSync('/proc/uptime', 'latin1').split(' ')[0]}`;
      if (isTakenBack) writeFileSync(join(agent.runDir, 'answers', name), '');
      writeFileSync(join(agent.runDir, 'calls', name), `${born}\n1\n${LAUNCHER}\n`);
      await until(() => !existsSync(join(agent.runDir, 'calls', name)), 'the drain has seen it');
      return pid;
    };
    const told = (pid: number) =>
      `"msg":"a hook was killed before its call was read: nothing of it is recorded","pid":${pid},`;
    const takenBack = await leftBehind(true);
    const lost = await leftBehind(false);
    await until(() => stderrOf(agent).includes(told(lost)), 'the drain tells of it');
    assert.equal(stderrOf(agent).includes(told(takenBack)), false);
  });

  for (const shell of SHELLS) {
    test(`is void, and what is done instead marked as done again, where it cannot be taken back (${shell.join(' ')})`, async () => {
      await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
      using _drain = hangingDrain(agent);
      const calls = join(agent.runDir, 'calls');
      const command = [...shell, over(agent, 'echo "$OCAGENT_TRY" >&2')];
      const { ended } = agent.start({ ...DISCONNECT, USERNAME: 'bob' }, command);
      await until(() => readdirSync(calls).length > 0, 'it is handed over');
      // As on a disk without space, no file can be made there.
      rmdirSync(join(agent.runDir, 'answers'));
      assert.equal((await ended).stderr, '2\n');
      assert.deepEqual(
        readdirSync(calls).map((name) => readFileSync(join(calls, name), 'utf8')),
        [''],
      );
    });
  }

  test('is answered by a process of its own once the configuration or a certificate is another', async () => {
    for (const change of [
      (agent: Agent) => writeFileSync(agent.configFile, `${readFileSync(agent.configFile)}\n# changed\n`),
      () => utimesSync(fixture.certificates.agentCertificate, new Date(), new Date()),
    ]) {
      await using agent = await install();
      const command = withoutNode(agent);
      const before = await agent.hook({ ...CONNECT, USERNAME: 'bob', ID: '4001' }, command);
      assert.equal(before.code, 0, before.stderr);
      change(agent);
      const run = await agent.hook({ ...CONNECT, USERNAME: 'bob' }, command);
      assert.equal(run.code, ALONE, run.stderr);
      assert.equal(existsSync(sign(agent)), false, 'and none is handed over any more');
    }
  });

  test('is declined at once where it cannot be looked whether a file is another', async () => {
    await using agent = await install();
    const ca = join(agent.folder, 'ca.crt');
    copyFileSync(fixture.certificates.ca, ca);
    const text = readFileSync(agent.configFile, 'utf8');
    writeFileSync(agent.configFile, text.replace(/ca_file = ".*"/, `ca_file = "${ca}"`));
    const command = withoutNode(agent);
    await until(() => agent.drain === null, 'the next drain goes by that');
    // It has work, and stays.
    const release = fixture.portal.hold('ReportConnect');
    await attended(agent);
    rmSync(ca);
    symlinkSync(ca, ca);
    const began = performance.now();
    assert.equal((await agent.hook({ ...CONNECT, USERNAME: 'bob' }, command)).code, ALONE);
    assert.ok(performance.now() - began < 15_000, 'not after portal.timeout and a second');
    release();
  });

  test('is not handed over for another configuration, nor where the sign is not to be trusted', async () => {
    await using agent = await install();
    const command = withoutNode(agent);
    const bob = { ...CONNECT, USERNAME: 'bob' };
    const other = await agent.hook({ ...bob, OCAGENT_CONFIG: `${agent.configFile}.other` }, command);
    assert.equal(other.code, ALONE, other.stderr);
    const text = readFileSync(sign(agent), 'utf8');
    for (const wrong of [
      text.replace(/^\d+/, `${process.pid}`),
      // A process of the same name and id, where containers share the folder.
      text.replace(/^(\d+) \d+/, '$1 4711'),
      text.replace(/ \d+ /, ' x '),
      '',
      '\n',
      'x',
    ]) {
      writeFileSync(sign(agent), wrong);
      const run = await agent.hook(bob, command);
      assert.equal(run.code, ALONE, `${wrong}: ${run.stderr}`);
    }
    writeFileSync(sign(agent), text);
    chownSync(sign(agent), 12_345, 0);
    assert.equal((await agent.hook(bob, command)).code, ALONE, "the sign is a stranger's");
    chownSync(sign(agent), 0, 0);
    assert.equal((await agent.hook(bob, command)).code, 0);
  });

  test('has its log where its own stderr leads, or is not handed over', async () => {
    await using agent = await install();
    const command = withoutNode(agent);
    const bob = { ...CONNECT, USERNAME: 'bob' };
    const overwrites = openSync(join(agent.folder, 'overwrites'), 'w');
    assert.equal(
      await startWith(agent, bob, command, overwrites),
      ALONE,
      'what is written without appending could be overwritten',
    );
    closeSync(overwrites);
    const pipe = pipeAt(join(agent.folder, 'pipe'));
    const theirs = pipeAt(join(agent.folder, 'pipe'));
    assert.equal(await startWith(agent, bob, command, theirs), 0);
    assert.match(readPipe(pipe), /^\{.*"msg":"connect allowed".*\}\n$/);
    fillPipe(pipe);
    assert.equal(await startWith(agent, { ...bob, ID: '2' }, command, theirs), 0, 'nobody reads any more');
    closeSync(pipe);
    closeSync(theirs);
  });
});
