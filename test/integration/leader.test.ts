import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isAlive } from '../../src/state/process.ts';
import { CONNECT, withoutReception } from './agent.ts';
import { EVENTS, gone, pending, stderrOf, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';
import { calm, holding, leadBy, leader, PATIENT, questions, stays, until, Waiter } from './leader.ts';

/** The hook without its launcher, which cannot stay. */
const BARE = WITHOUT_DRAIN.toSpliced(1, 0, '--no-warnings');
const COUNT = 60;
const USERS = Object.fromEntries(
  Array.from({ length: 100 }, (_, i) => [
    `user${i}`,
    i % 4 === 0 ? { allowed: false, reason: `no ${i}` } : { allowed: true },
  ]),
);
const POLICY = {
  default: { allowed: false, reason: 'unknown' },
  users: {
    ...USERS,
    alice: { allowed: true },
    denied: { allowed: false, reason: 'locked' },
    waiter: { allowed: true },
  },
};
const names = Array.from({ length: COUNT }, (_, i) => `user${i}`);

describe('many hooks at once', () => {
  const fixture = withPortal(POLICY);

  for (const [what, config, connections] of [
    ['no events', '', 1],
    ['events', `\n${EVENTS.replace('[log]\nlevel = "debug"', '')}`, 2],
  ] as const) {
    test(`ask over ${connections} of their own, and each has its own decision (${what})`, async () => {
      await using agent = await fixture.install(PATIENT[0] + config, PATIENT[1]);
      // Else they would hand their calls over to a drain.
      withoutReception(agent);
      const { portal } = fixture;
      const before = portal.connections.handshakes;
      // One leads until all the others wait, however long they take to come up.
      using held = holding(portal);
      const runs = names.map((user, i) =>
        agent.connect(user, { ID: `${1_000 + i}`, IP_REAL: `198.51.100.${i}` }),
      );
      await portal.arrived(1, 'CheckPolicy', 60_000);
      await until(() => questions(agent).length === COUNT - 1, 'all of them wait');
      assert.ok(portal.callsOf('CheckPolicy').length <= 9, 'few at first');
      held.release();
      for (const [i, run] of (await Promise.all(runs)).entries()) {
        assert.equal(run.code, i % 4 === 0 ? 1 : 0, run.stderr);
        assert.equal(run.decision?.['source'], 'portal');
        assert.equal(run.decision?.['username'], `user${i}`);
        if (i % 4 === 0) assert.equal(run.decision?.['reason'], `no ${i}`);
        assert.equal(run.log.length, 1, run.stderr);
      }
      const asked = portal.callsOf('CheckPolicy').map(({ request }) => request.username);
      assert.deepEqual(asked.toSorted(), names.toSorted(), 'each is asked for once');
      assert.equal(new Set(portal.callsOf('CheckPolicy').map(({ peer }) => peer)).size, 1);
      const allowed = names.filter((_, i) => i % 4 !== 0).length;
      assert.equal(agent.query('SELECT * FROM session').length, allowed);
      assert.equal(agent.query('SELECT * FROM decision').length, COUNT);
      if (connections > 1) {
        await portal.answered(allowed, 'ReportConnect', 60_000);
        await until(() => pending(agent) === 0, 'all events are delivered');
        await gone(agent);
      }
      await calm(agent);
      assert.ok(portal.connections.handshakes - before <= connections);
    });
  }

  test('hand over where none may stay: without a launcher nobody is lost', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    const runs = names
      .slice(0, 16)
      .map((user, i) =>
        agent.hook({ ...CONNECT, USERNAME: user, ID: `${1_000 + i}`, IP_REAL: `198.51.100.${i}` }, BARE),
      );
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    await until(() => questions(agent).length === 15, 'all of them wait');
    held.release();
    for (const [i, run] of (await Promise.all(runs)).entries()) {
      assert.equal(run.code, i % 4 === 0 ? 1 : 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal', run.stderr);
    }
    await calm(agent);
  });
});

describe('a leader that stays', () => {
  const fixture = withPortal(POLICY);

  for (const [user, code] of [
    ['alice', 0],
    ['denied', 1],
  ] as const) {
    for (const events of [false, true]) {
      test(`has told ocserv its answer, ${code}, ${events ? 'with' : 'without'} a drain`, async () => {
        const config = events ? `\n${EVENTS.replace('[log]\nlevel = "debug"', '')}` : '';
        await using agent = await fixture.install(PATIENT[0] + config, PATIENT[1]);
        withoutReception(agent);
        using staying = await stays(agent, fixture.portal, user);
        const { run, pid, waiter, release } = staying;
        assert.equal(run.code, code, run.stderr);
        assert.equal(run.signal, null);
        assert.equal(run.log.length, 1, run.stderr);
        assert.ok(isAlive(pid), 'it goes on');
        assert.equal(leader(agent), pid);
        assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
        for (const fd of [0, 1]) assert.equal(readlinkSync(`/proc/${pid}/fd/${fd}`), '/dev/null');
        if (events && code === 0) {
          await fixture.portal.answered(1, 'ReportConnect', 60_000);
          assert.ok(isAlive(pid), 'the drain has not waited for it');
        }
        // Others that come now are asked for over the same connection.
        const other = agent.connect('user1', { ID: '1' });
        const denied = agent.connect('user4', { ID: '4' });
        await fixture.portal.arrived(4, 'CheckPolicy', 60_000);
        release();
        assert.equal((await other).code, 0);
        assert.equal((await denied).decision?.['reason'], 'no 4');
        const peers = new Set(fixture.portal.callsOf('CheckPolicy').map(({ peer }) => peer));
        assert.equal(peers.size, 1);
        await until(() => waiter.answer !== null, 'the waiter is answered');
        await until(() => !isAlive(pid), 'it leaves by itself');
        assert.equal(agent.query('SELECT * FROM session').length, code === 0 ? 2 : 1);
        assert.equal(stderrOf(agent).includes('internal fault'), false);
      });
    }
  }

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`and is ended by ${signal}: those that wait are answered all the same`, async () => {
      await using agent = await fixture.install(...PATIENT);
      using staying = await stays(agent, fixture.portal, 'alice');
      const { run, pid, release } = staying;
      assert.equal(run.code, 0);
      const others = ['user1', 'user4', 'user5'].map((user, i) => agent.connect(user, { ID: `${i}` }));
      await fixture.portal.arrived(5, 'CheckPolicy', 60_000);
      process.kill(pid, signal);
      release();
      assert.deepEqual(
        (await Promise.all(others)).map(({ code, decision }) => [code, decision?.['source']]),
        [
          [0, 'portal'],
          [1, 'portal'],
          [0, 'portal'],
        ],
      );
      assert.equal(isAlive(pid), false);
    });
  }

  test('and was stopped goes on where it was, and changes nothing that others have decided', async () => {
    await using agent = await fixture.install(...PATIENT);
    using staying = await stays(agent, fixture.portal, 'alice');
    const { pid, waiter, release } = staying;
    process.kill(pid, 'SIGSTOP');
    // Only after two seconds is it taken to be stuck; until then whoever asks it something wakes it.
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'user4', ID: '4' });
    await fixture.portal.arrived(3, 'CheckPolicy', 60_000);
    assert.notEqual(leader(agent), pid, 'another leads');
    process.kill(pid, 'SIGCONT');
    await until(() => !isAlive(pid), 'it goes when it sees that it no longer leads');
    release();
    assert.equal((await ended).decision?.['reason'], 'no 4');
    await until(() => waiter.answer !== null, 'who waited is answered by the next one');
  });
});

describe('a leader that is stuck', () => {
  const fixture = withPortal(POLICY);

  test('is done without, and by all that wait together', async () => {
    await using agent = await fixture.install(...PATIENT);
    await agent.connect('alice');
    fixture.portal.forget();
    using stuck = new Waiter(agent, 'waiter', { taken: -1 });
    leadBy(agent, stuck.pid);
    using held = holding(fixture.portal);
    const runs = names.slice(0, 10).map((user, i) => agent.connect(user, { ID: `${i}` }));
    await until(() => questions(agent).length > 1 || leader(agent) !== stuck.pid, 'they wait');
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    held.release();
    for (const [i, run] of (await Promise.all(runs)).entries()) {
      assert.equal(run.code, i % 4 === 0 ? 1 : 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal', run.stderr);
    }
    assert.notEqual(leader(agent), stuck.pid);
  });
});

describe('a leader whose own call is not answered yet', () => {
  const fixture = withPortal(POLICY);

  test('and that is killed lets nobody in by that, and those that wait are answered', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    const first = agent.connect('alice');
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const others = names.slice(0, 12).map((user, i) => agent.connect(user, { ID: `${i}` }));
    await fixture.portal.arrived(9, 'CheckPolicy', 60_000);
    process.kill(leader(agent), 'SIGKILL');
    assert.notEqual((await first).code, 0);
    await until(() => questions(agent).length < 12, 'another takes the lead');
    held.release();
    for (const [i, run] of (await Promise.all(others)).entries()) {
      assert.equal(run.code, i % 4 === 0 ? 1 : 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal', run.stderr);
    }
    await calm(agent);
    assert.equal(agent.query(`SELECT * FROM session WHERE username = 'alice'`).length, 0);
  });

  test('takes no more for others once it has failed: whoever waits asks over a new connection', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    await fixture.portal.setPolicy({ error: 'UNAVAILABLE' });
    const first = agent.connect('alice');
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const pid = leader(agent);
    using waiter = new Waiter(agent, 'waiter');
    held.release();
    assert.equal((await first).decision?.['source'], 'fail-close');
    await until(() => !isAlive(pid), 'it leaves');
    assert.equal(waiter.answer, null);
    assert.equal(
      fixture.portal.callsOf('CheckPolicy').some(({ request }) => request.username === 'waiter'),
      false,
    );
    assert.equal(leader(agent), 0);
  });

  test('is not moved by signals that tell nothing', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    const runs = ['alice', 'user1', 'user4'].map((user, i) => agent.connect(user, { ID: `${i}` }));
    await fixture.portal.arrived(3, 'CheckPolicy', 60_000);
    for (let n = 0; n < 100; n++) {
      for (const pid of [leader(agent), ...questions(agent).map((row) => row.pid)]) {
        process.kill(pid, 'SIGCONT');
      }
    }
    held.release();
    assert.deepEqual(
      (await Promise.all(runs)).map(({ code, decision }) => [code, decision?.['source']]),
      [
        [0, 'portal'],
        [0, 'portal'],
        [1, 'portal'],
      ],
    );
    assert.equal(fixture.portal.callsOf('CheckPolicy').length, 3);
    await calm(agent);
  });
});

describe('a portal that fails', () => {
  const fixture = withPortal(POLICY);

  test('a whole storm opens the breaker once, and everybody is decided by the fail mode', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    await fixture.portal.setPolicy({ error: 'UNAVAILABLE' });
    const runs = names.slice(0, 30).map((user, i) => agent.connect(user, { ID: `${i}` }));
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    await until(() => questions(agent).length === 29, 'all of them wait');
    held.release();
    for (const run of await Promise.all(runs)) {
      assert.equal(run.code, 1, run.stderr);
      assert.equal(run.decision?.['source'], 'fail-close', run.stderr);
    }
    const asked = new Set(fixture.portal.callsOf('CheckPolicy').map(({ request }) => request.username));
    // Those that were on their way, and the next leader's, who was there before the third failure was known.
    assert.ok(asked.size < 30, `${asked.size} were asked for`);
    const shown = JSON.parse((await agent.command('breaker', 'status', '--json')).stdout);
    assert.equal(shown.state, 'open');
    const [row] = agent.query<{ state: string }>('SELECT state FROM breaker');
    assert.equal(JSON.parse(row?.state ?? '').generation, 1, 'once');
    const [failures] = agent.query<{ sum: number }>(
      `SELECT sum(value) AS sum FROM counter WHERE name = 'ocserv.circuit_breaker.failures_total'`,
    );
    assert.equal(failures?.sum, 3);
    await calm(agent);
  });

  test('one request alone is that request’s own denial', async () => {
    await using agent = await fixture.install(...PATIENT);
    const { users } = POLICY;
    await fixture.portal.setPolicy({
      users: { ...users, user1: { error: 'INVALID_ARGUMENT', error_message: 'no such device' } },
    });
    using held = holding(fixture.portal);
    const runs = names.slice(0, 6).map((user, i) => agent.connect(user, { ID: `${i}` }));
    await fixture.portal.arrived(6, 'CheckPolicy', 60_000);
    held.release();
    const codes = (await Promise.all(runs)).map(({ code }) => code);
    assert.deepEqual(codes, [1, 1, 0, 0, 1, 0]);
    assert.match(String((await runs[1])?.decision?.['reason']), /no such device/);
    assert.equal(fixture.portal.callsOf('CheckPolicy').length, 6);
    await calm(agent);
  });
});

describe('a row that no hook has written', () => {
  const fixture = withPortal(POLICY);
  const SHORT = '[hook]\ndeadline = "8s"\n[resilience]\nfail_mode = "stale"';

  test('is no answer: its hook is denied, or asks by itself, by its deadline', async () => {
    await using agent = await fixture.install(SHORT, 'timeout = "2s"');
    using staying = await stays(agent, fixture.portal, 'alice');
    const { waiter, release } = staying;
    const run = agent.connect('denied', { ID: '1' });
    await until(() => questions(agent).length === 2, 'it waits');
    const { default: Database } = await import('better-sqlite3');
    const db = new Database(agent.state, { timeout: 20_000 });
    db.prepare(`UPDATE question SET answer = '{"answer":{"allowed":true}}' WHERE pid <> ?`).run(waiter.pid);
    db.close();
    assert.equal((await run).code, 1);
    release();
  });

  test('is no question: the leader’s own connect is decided by the portal all the same', async () => {
    await using agent = await fixture.install(`${PATIENT[0]}\n[resilience]\nfail_mode = "open"`, PATIENT[1]);
    using held = holding(fixture.portal);
    const first = agent.connect('denied');
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const pid = leader(agent);
    using _bad = new Waiter(agent, '', { request: '{}' });
    const other = agent.connect('user1', { ID: '1' });
    await until(() => questions(agent).some((row) => row.pid === _bad.pid && row.taken > 0), 'it is taken');
    held.release();
    const run = await first;
    assert.equal(run.code, 1, run.stderr);
    assert.equal(run.decision?.['source'], 'portal', run.stderr);
    assert.equal((await other).code, 0);
    await until(() => !isAlive(pid), 'it leaves');
  });

  test('holds no place for ever: a hook without room beside its leader is answered by its deadline', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "6s"', 'timeout = "2s"');
    await agent.connect('alice');
    // Places that are taken for longer than it has time, and a leader that lives and takes none of its questions.
    const places = Array.from({ length: 40 }, () => new Waiter(agent, 'waiter', { taken: -1 }));
    const signs = setInterval(() => leadBy(agent, places[0]?.pid ?? 0), 200);
    try {
      leadBy(agent, places[0]?.pid ?? 0);
      const run = agent.connect('denied', { ID: '1' });
      const late = AbortSignal.timeout(40_000);
      const tooLate = new Promise<null>((resolve) => late.addEventListener('abort', () => resolve(null)));
      const answered = await Promise.race([run, tooLate]);
      clearInterval(signs);
      await run;
      assert.equal(answered?.code, 1, 'it was still waiting long after its deadline');
      assert.notEqual(answered?.decision, undefined);
    } finally {
      clearInterval(signs);
      for (const place of places) place[Symbol.dispose]();
    }
  });
});
