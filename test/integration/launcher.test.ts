import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CONNECT, DISCONNECT, hearsSigterm, LAUNCHER, type Run } from './agent.ts';
import { withPortal } from './fixture.ts';
import { over, withProcesses } from './stand-in.ts';

/** Milliseconds, less than a timer could count: the moment itself is what is tried. */
async function exactly(delay: number): Promise<void> {
  for (const at = performance.now() + delay; performance.now() < at; ) await nextTurn();
}

/** Runs the command line after it as somebody who may do nothing. */
const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

describe('what a client chose', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('unsets no variable of the hook, however much it looks like one that is dropped', async () => {
    await using agent = await fixture.install();
    await agent.connect('bob_proxy=1', {
      GROUPNAME: 'contractors_proxy=x',
      HOSTNAME: 'x\nexport GROUPNAME=_proxy=',
    });
    const [call] = fixture.portal.callsOf('CheckPolicy');
    assert.equal(call?.request.username, 'bob_proxy=1');
    assert.equal(call?.request.groupname, 'contractors_proxy=x');
    const odd = await agent.connect('x\n9_proxy=\n_proxy\n=_PROXY\ny');
    assert.equal(odd.code, 0, odd.stderr);
    const name =
      'alice\n9_proxy=\nexport STATS_BYTES_IN=_proxy=\nexport STATS_BYTES_OUT=_PROXY=\nexport REASON=_proxy=';
    const run = await agent.disconnect(name, {
      STATS_BYTES_IN: '7',
      STATS_BYTES_OUT: '8',
      STATS_DURATION: '9',
    });
    assert.equal(run.code, 0, run.stderr);
    const [session] = agent.query<Record<string, unknown>>(
      'SELECT * FROM session WHERE ended_wall IS NOT NULL',
    );
    assert.deepEqual(
      [session?.['bytes_in'], session?.['bytes_out'], session?.['duration_seconds']],
      ['7', '8', '9'],
    );
  });
});

describe('the launcher', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  test('gives the status of a child that ends just as SIGTERM comes: what was recorded is not denied', async () => {
    await using agent = await fixture.install();
    const done = join(agent.folder, 'done');
    const launcher = over(agent, `trap '' TERM; : >${done}; exit 0`);
    for (let i = 0; i < 120; i++) {
      rmSync(done, { force: true });
      const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, [launcher]);
      setTimeout(() => child.kill('SIGTERM'), 2 + (i % 12) / 4);
      const run = await ended;
      if (existsSync(done)) assert.equal(run.code, 0, `try ${i}`);
    }
  });

  for (const shell of [['/bin/sh'], ['bash', '--posix']]) {
    test(`denies nothing that was recorded, however late its signals are, run by ${shell[0]}`, async () => {
      await using agent = await fixture.install();
      const done = join(agent.folder, 'done');
      // In time for bash, which can lose the status of one that ends just then (below).
      const launcher = over(agent, `trap '' TERM; : >${done}; sleep 0.1; exit 0`);
      const [before = '', after] = readFileSync(launcher, 'utf8').split('\nphase=\n', 2);
      assert.ok(after);
      // Between its look at the child and its signal the child starts, and does what it is there for.
      const late = 'kill() { sleep 0.02; command kill "$@"; }';
      writeFileSync(launcher, `${before}\n${late}\nphase=\n${after}`);
      for (let i = 0; i < 60; i++) {
        rmSync(done, { force: true });
        const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, [...shell, launcher]);
        await hearsSigterm(child);
        await exactly((i % 30) / 10);
        child.kill('SIGTERM');
        const run = await ended;
        assert.equal(run.code, existsSync(done) ? 0 : 5, `try ${i}`);
      }
    });

    test(`hears SIGTERM at any moment from its first on, run by ${shell[0]}`, async () => {
      await using agent = await fixture.install();
      const launcher = over(agent, 'exec sleep 2');
      for (let i = 0; i < 150; i++) {
        const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, [...shell, launcher]);
        await hearsSigterm(child);
        // While the shell looks around, makes the child, and waits for it.
        const delay = (i % 25) / 5;
        await exactly(delay);
        child.kill('SIGTERM');
        const run = await ended;
        assert.deepEqual([run.code, run.signal], [5, null], `after ${delay} ms`);
        assert.equal(run.stderr, '');
      }
    });
  }

  test('ends with 5 at most where bash has lost the status of a child that ends just as SIGTERM comes', async () => {
    await using agent = await fixture.install();
    const launcher = over(agent, `trap '' TERM; kill -TERM "$OCAGENT_LAUNCHER"; exit 0`);
    for (let i = 0; i < 100; i++) {
      const { code } = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, ['bash', '--posix', launcher]);
      assert.ok(code === 0 || code === 5, `${code} at try ${i}`);
    }
  });

  for (const signal of ['SIGHUP', 'SIGINT'] as const) {
    test(`takes ${signal}, as a terminal sends it, for SIGTERM`, async () => {
      await using agent = await fixture.install();
      const launcher = over(agent, '[ "$REASON" = connect ] && exec sleep 10; read -r _ <"$PIPE"; exit 0');
      const refused = agent.start({ ...CONNECT, USERNAME: 'alice' }, [launcher]);
      await hearsSigterm(refused.child);
      refused.child.kill(signal);
      const run = await refused.ended;
      assert.deepEqual([run.code, run.signal], [5, null]);
      const PIPE = join(agent.folder, 'pipe');
      execFileSync('mkfifo', [PIPE]);
      const { child, ended } = agent.start({ ...DISCONNECT, USERNAME: 'alice', PIPE }, [launcher]);
      await hearsSigterm(child);
      child.kill(signal);
      writeFileSync(PIPE, '\n');
      const other = await ended;
      assert.deepEqual([other.code, other.signal], [0, null]);
    });
  }

  test('does a disconnect again whose process was killed, and refuses a connect', async () => {
    await using agent = await fixture.install();
    const tries = join(agent.folder, 'tries');
    const launcher = over(
      agent,
      `echo "$OCAGENT_TRY" >>${tries}; [ "$OCAGENT_TRY" -ge 3 ] || kill -KILL $$; exit 0`,
    );
    const ended = await agent.hook({ ...DISCONNECT, USERNAME: 'alice' }, [launcher]);
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(ended.stderr, '');
    assert.equal(readFileSync(tries, 'utf8'), '1\n2\n3\n');
    const connect = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [launcher]);
    assert.equal(connect.code, 137);
    assert.equal(connect.log[0]?.['msg'], 'connect refused: its process was killed (status 137)');
    assert.equal(connect.log[0]?.['username'], 'alice');
  });

  test('says what it could not record when every try was killed, with the figures and nothing raw', async () => {
    await using agent = await fixture.install();
    const launcher = over(agent, 'kill -KILL $$');
    const run = await agent.hook(
      {
        ...DISCONNECT,
        USERNAME: 'al\nice\u001b',
        STATS_BYTES_IN: '12',
        STATS_BYTES_OUT: '34',
        STATS_DURATION: '56',
      },
      [launcher],
    );
    assert.equal(run.code, 1);
    const [line] = run.log;
    assert.match(String(line?.['msg']), /^disconnect NOT recorded/);
    assert.deepEqual(
      [
        line?.['username'],
        line?.['ocserv_id'],
        line?.['bytes_in'],
        line?.['bytes_out'],
        line?.['duration_seconds'],
      ],
      ['al?ice?', '4711', '12', '34', '56'],
    );
  });

  test('says that with the priority of an error where stderr is the journal', async () => {
    await using agent = await fixture.install();
    const launcher = over(agent, 'kill -KILL $$');
    const asJournal = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM; exec "$0"';
    const disconnect = { ...DISCONNECT, USERNAME: 'alice' };
    const { stderr } = await agent.hook(disconnect, ['/bin/sh', '-c', asJournal, launcher]);
    assert.match(stderr, /^<3>\{"level":"error","msg":"disconnect NOT recorded/);
    const other = await agent.hook({ ...disconnect, JOURNAL_STREAM: '1:2' }, [launcher]);
    assert.match(other.stderr, /^\{"level":"error"/);
  });

  test('books a disconnect once, though its first try was killed after it had recorded it', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    const figures = { STATS_BYTES_IN: '12', STATS_DURATION: '1' };
    assert.equal((await agent.disconnect('alice', figures)).code, 0);
    const real = LAUNCHER.replace('/bin/ocagent-hook', '');
    const again = await agent.hook({ ...DISCONNECT, USERNAME: 'alice', ...figures, OCAGENT_TRY: '2' }, [
      join(real, 'node_modules/.bin/node'),
      join(real, 'dist/boot.cjs'),
    ]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(agent.query('SELECT * FROM session').length, 1);
    await agent.connect('alice');
    await agent.hook({ ...DISCONNECT, USERNAME: 'alice', ...figures, OCAGENT_TRY: '2' }, [
      join(real, 'node_modules/.bin/node'),
      join(real, 'dist/boot.cjs'),
    ]);
    const live = agent.query('SELECT * FROM session WHERE ended_wall IS NULL');
    assert.equal(live.length, 1, 'nor is a later session ended in its place');
  });

  test('takes 64 off the status and starts a drain, and the status stands', async () => {
    await using agent = await fixture.install();
    const started = join(agent.folder, 'started');
    mkdirSync(started);
    const launcher = over(
      agent,
      `case "$*" in *drain) env >${started}/drain; exit 7 ;; esac; exit $((64 + $WITH))`,
    );
    for (const [status, code] of [
      ['0', 0],
      ['1', 1],
    ] as const) {
      const seen = watch(started);
      const written = once(seen, 'change', { signal: AbortSignal.timeout(10_000) });
      const run = await agent.hook({ ...CONNECT, USERNAME: 'alice', WITH: status }, [launcher]);
      assert.equal(run.code, code, run.stderr);
      assert.equal(run.stderr, '');
      await written;
      seen.close();
    }
  });

  for (const [name, code] of [
    ['ocagent=0', 0],
    ['ocagent=1', 1],
    ['ocagent=64', 0],
    ['ocagent=65', 1],
    // Nothing that a process could be called by any other way is an answer.
    ['ocagent=', 9],
    ['ocagent=2', 9],
    ['ocagent=5', 9],
    ['ocagent=00', 9],
    ['ocagent=0x', 9],
    ['ocagent=10', 9],
    ['ocagent=66', 9],
    ['ocagent=*', 9],
    ['ocagent=[0]', 9],
    ['ocagent', 9],
    ['xocagent=0', 9],
    ['0', 9],
    ['node', 9],
  ] as const) {
    test(`is told that it may look, and ${code === 9 ? 'waits on for one that is called' : 'believes'} ${name}`, async () => {
      await using agent = await fixture.install();
      const launcher = over(
        agent,
        `[ -n "$OCAGENT_LAUNCHER" ] || exit 0
         [ "$OCAGENT_LAUNCHER" = "$PPID" ] || exit 8
         printf '%s' "$NAME" >/proc/$$/comm
         for i in 1 2 3 4 5 6 7 8 9 10; do kill -USR1 "$PPID" || break; sleep 0.03; done 2>/dev/null
         exit 9`,
      );
      const run = await agent.hook({ ...CONNECT, USERNAME: 'alice', NAME: name }, [launcher]);
      assert.equal(run.code, code, run.stderr);
      assert.equal(run.signal, null);
    });
  }

  test('looks at nobody’s name where it is not a connect', async () => {
    await using agent = await fixture.install();
    const launcher = over(
      agent,
      `printf ocagent=0 >/proc/$$/comm
       kill -USR1 "$PPID"
       exit 1`,
    );
    const run = await agent.hook({ ...DISCONNECT, USERNAME: 'alice' }, [launcher]);
    assert.notEqual(run.code, 0);
  });

  const figures = {
    ...DISCONNECT,
    USERNAME: 'alice',
    STATS_BYTES_IN: '12',
    STATS_BYTES_OUT: '34',
    STATS_DURATION: '56',
  };
  const assertLost = ({ stderr }: Run): void => {
    const [line] = /\{.*\}\n$/.exec(stderr) ?? [];
    assert.ok(line !== undefined, stderr);
    assert.deepEqual(JSON.parse(line), {
      level: 'error',
      msg: 'disconnect NOT recorded: it could not be started',
      username: 'alice',
      ocserv_id: '4711',
      bytes_in: '12',
      bytes_out: '34',
      duration_seconds: '56',
    });
  };

  test('reads what the kernel has counted of a tunnel whose traffic ocserv does not name', async () => {
    await using agent = await fixture.install();
    const told = join(agent.folder, 'told');
    const launcher = over(agent, `echo "\${OCAGENT_TUNNEL-none}" >${told}; exit 0`);
    const counts = (): number[] =>
      ['rx_bytes', 'tx_bytes', 'rx_packets', 'tx_packets'].map((name) =>
        Number(readFileSync(`/sys/class/net/lo/statistics/${name}`, 'latin1')),
      );
    const tell = async (env: Record<string, string>): Promise<string> => {
      const going = { STATS_BYTES_IN: '0', STATS_BYTES_OUT: '0', DEVICE: 'lo' };
      assert.equal((await agent.hook({ ...figures, ...going, ...env }, [launcher])).code, 0);
      return readFileSync(told, 'latin1').trim();
    };
    const before = counts();
    const read = (await tell({})).split(' ').map(Number);
    const after = counts();
    assert.equal(read.length, 4);
    for (const [i, count] of read.entries())
      assert.ok(count >= (before[i] ?? 0) && count <= (after[i] ?? 0), `${before} ${read} ${after}`);
    for (const other of [
      { STATS_BYTES_IN: '1' },
      { DEVICE: '' },
      { DEVICE: '../lo' },
      { REASON: 'host-update' },
    ])
      assert.equal(await tell(other), 'none', JSON.stringify(other));
  });

  test('says what it could not record where no process can be made at all, and refuses a connect', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can be somebody else');
    await using agent = await fixture.install();
    const launcher = over(agent, 'exit 0');
    execFileSync('chmod', ['-R', 'a+rX', agent.folder]);
    const ended = await agent.hook(figures, [...withProcesses(1), launcher]);
    assert.notEqual(ended.code, 0);
    assertLost(ended);
    const run = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [...withProcesses(1), launcher]);
    assert.notEqual(run.code, 0);
    assert.notEqual(run.stderr, '', 'the shell says why');
  });

  test('says that a connect was killed, and keeps its status, though no process can be made any more', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can be somebody else');
    await using agent = await fixture.install();
    const launcher = over(agent, 'prlimit --pid "$PPID" --nproc=1 || exit 9; kill -KILL $$');
    execFileSync('chmod', ['-R', 'a+rX', agent.folder]);
    const connect = { ...CONNECT, USERNAME: 'alice', JOURNAL_STREAM: '1:2' };
    const run = await agent.hook(connect, [...NOBODY, launcher]);
    assert.equal(run.code, 137, run.stderr);
    assert.match(
      run.stderr,
      /"msg":"connect refused: its process was killed \(status 137\)","username":"alice"/,
    );
  });

  test('says what it could not record where Node cannot be run', async () => {
    await using agent = await fixture.install();
    const launcher = over(agent, '');
    const node = join(agent.folder, 'home/node_modules/.bin/node');
    writeFileSync(node, '#!/nowhere\n');
    assertLost(await agent.hook(figures, [launcher]));
    rmSync(node);
    assertLost(await agent.hook(figures, [launcher]));
  });

  test('lets a decision stand though no process can be made any more for a drain', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('only root can be somebody else');
    await using agent = await fixture.install();
    const launcher = over(agent, 'prlimit --pid "$PPID" --nproc=1 || exit 9; exit 64');
    execFileSync('chmod', ['-R', 'a+rX', agent.folder]);
    const run = await agent.hook({ ...CONNECT, USERNAME: 'alice' }, [...NOBODY, launcher]);
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.stderr, '', 'nor does the shell complain where only the log speaks');
  });
});
