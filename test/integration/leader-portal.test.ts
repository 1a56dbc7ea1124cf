import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';
import { type Portal, startPortal } from '../../scripts/portal/portal.ts';
import { isAlive } from '../../src/state/process.ts';
import { type Agent, CONNECT, type Run, withoutReception } from './agent.ts';
import { EVENTS, gone, stderrOf } from './events.ts';
import { withPortal } from './fixture.ts';
import { sign } from './handed-over.ts';
import { calm, holding, leadBy, leader, PATIENT, questions, stays, until, Waiter, write } from './leader.ts';

const USERS = Object.fromEntries(
  Array.from({ length: 40 }, (_, i) => [
    `user${i}`,
    i % 4 === 0 ? { allowed: false, reason: `no ${i}` } : { allowed: true },
  ]),
);
const POLICY = {
  default: { allowed: false, reason: 'unknown' },
  users: { ...USERS, alice: { allowed: true }, waiter: { allowed: true } },
};
const names = Object.keys(USERS);

const peersOf = (portal: Portal, username?: string): Set<string> =>
  new Set(
    portal
      .callsOf('CheckPolicy')
      .filter(({ request }) => username === undefined || request.username === username)
      .map(({ peer }) => peer),
  );

const verdicts = (runs: readonly Run[]): unknown[] =>
  runs.map(({ code, decision }) => [code, decision?.['source']]);

describe('a leader and a hook that would ask otherwise', () => {
  const fixture = withPortal(POLICY);

  test('have nothing to do with each other: each asks the portal that its own configuration names', async () => {
    await using other = await startPortal({
      certificates: fixture.certificates.directory,
      policy: { default: { allowed: false, reason: 'the other one' } },
    });
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    using heldThere = holding(other);
    // One leads and one waits, by the configuration as it was.
    const first = agent.connect('user1', { ID: '1' });
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const leads = leader(agent);
    const second = agent.connect('user2', { ID: '2' });
    await until(() => questions(agent).length === 1, 'it waits');
    agent.configure({ address: other.address, config: PATIENT[0], portal: PATIENT[1] }, fixture.certificates);
    const third = agent.connect('user3', { ID: '3' });
    await other.arrived(1, 'CheckPolicy', 60_000);
    assert.notEqual(leader(agent), leads);
    const fourth = agent.connect('user5', { ID: '5' });
    held.release();
    heldThere.release();
    assert.deepEqual(verdicts(await Promise.all([first, second])), [
      [0, 'portal'],
      [0, 'portal'],
    ]);
    for (const run of await Promise.all([third, fourth])) {
      assert.equal(run.code, 1, run.stderr);
      assert.equal(run.decision?.['reason'], 'the other one');
    }
    assert.deepEqual(
      [...new Set(other.callsOf('CheckPolicy').map(({ request }) => request.username))].sort(),
      ['user3', 'user5'],
    );
    assert.deepEqual(
      [...new Set(fixture.portal.callsOf('CheckPolicy').map(({ request }) => request.username))].sort(),
      ['user1', 'user2'],
    );
    assert.deepEqual(questions(agent), []);
  });

  const changes: Readonly<Record<string, (agent: Agent, files: CertificateFiles, portal: Portal) => void>> = {
    'its certificate was renewed': (agent, { agentCertificate }) => {
      const renewed = join(agent.folder, 'renewed');
      copyFileSync(agentCertificate, renewed);
      renameSync(renewed, agentCertificate);
    },
    'its key was renewed': (agent, { agentKey }) => {
      const renewed = join(agent.folder, 'renewed');
      copyFileSync(agentKey, renewed);
      renameSync(renewed, agentKey);
    },
    'its CA was written anew': (_, { ca }) => writeFileSync(ca, readFileSync(ca)),
    'its patience is another one': (agent, files, { address }) =>
      agent.configure({ address, config: PATIENT[0], portal: 'timeout = "21s"' }, files),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`ask over a connection each: ${what}`, async () => {
      await using agent = await fixture.install(...PATIENT);
      const files = ownFiles(agent, fixture.certificates);
      agent.configure({ address: fixture.portal.address, config: PATIENT[0], portal: PATIENT[1] }, files);
      using held = holding(fixture.portal);
      const first = agent.connect('user1', { ID: '1' });
      await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
      const before = leader(agent);
      change(agent, files, fixture.portal);
      const second = agent.connect('user4', { ID: '4' });
      await fixture.portal.arrived(2, 'CheckPolicy', 60_000);
      assert.equal(peersOf(fixture.portal).size, 2);
      assert.notEqual(leader(agent), before);
      // Who comes now agrees with the second.
      const third = agent.connect('user5', { ID: '5' });
      await fixture.portal.arrived(3, 'CheckPolicy', 60_000);
      assert.deepEqual(peersOf(fixture.portal, 'user5'), peersOf(fixture.portal, 'user4'));
      held.release();
      assert.deepEqual(verdicts(await Promise.all([first, second, third])), [
        [0, 'portal'],
        [1, 'portal'],
        [0, 'portal'],
      ]);
      await calm(agent);
    });
  }
});

/** Files that are this installation's alone. */
function ownFiles(agent: Agent, files: CertificateFiles): CertificateFiles {
  const directory = join(agent.folder, 'own');
  mkdirSync(directory, { mode: 0o700 });
  const own = (file: string, name: string): string => {
    const copy = join(directory, name);
    copyFileSync(file, copy);
    return copy;
  };
  return {
    ...files,
    ca: own(files.ca, 'ca.crt'),
    agentCertificate: own(files.agentCertificate, 'agent.crt'),
    agentKey: own(files.agentKey, 'agent.key'),
  };
}

describe('a portal that fails hooks that have a few seconds', () => {
  const fixture = withPortal(POLICY);
  const SHORT = ['[hook]\ndeadline = "6s"', 'timeout = "2s"'] as const;

  const failures: Readonly<Record<string, (portal: Portal) => Promise<Disposable | undefined>>> = {
    'hangs before it has a connection': async (portal) => holding(portal),
    'refuses connections': async (portal) => {
      await portal.stop();
      return undefined;
    },
    'says that it is unavailable': async (portal) => {
      await portal.setPolicy({ error: 'UNAVAILABLE' });
      return undefined;
    },
    'says that it is broken': async (portal) => {
      await portal.setPolicy({ error: 'INTERNAL' });
      return undefined;
    },
  };
  for (const [what, fail] of Object.entries(failures)) {
    for (const mode of ['close', 'stale', 'open'] as const) {
      test(`leaves each to the fail mode, ${mode}, by its deadline: one that ${what}`, async () => {
        await using agent = await fixture.install(
          `${SHORT[0]}\n[resilience]\nfail_mode = "${mode}"\n[resilience.cache]\nttl = "1ms"\ndeny_ttl = "1ms"`,
          SHORT[1],
        );
        // What was known before it failed: who was refused, and who was not.
        assert.equal((await agent.connect('user4')).code, 1);
        assert.equal((await agent.connect('user5')).code, 0);
        await calm(agent);
        using _held = await fail(fixture.portal);
        const users = ['user4', 'user5', ...names.slice(8, 16)];
        const runs = await Promise.all(users.map((user, i) => agent.connect(user, { ID: `${i}` })));
        for (const [i, run] of runs.entries()) {
          const known = mode === 'close' ? -1 : i;
          const expected = {
            close: [1, 'fail-close'],
            stale: known === 0 ? [1, 'stale'] : known === 1 ? [0, 'stale'] : [1, 'fail-close'],
            open: known === 0 ? [1, 'stale'] : [0, 'fail-open'],
          }[mode];
          assert.deepEqual([run.code, run.decision?.['source']], expected, `${users[i]}: ${run.stderr}`);
        }
        await until(() => leader(agent) === 0 || !isAlive(leader(agent)), 'nobody leads any more');
      });
    }
  }
});

describe('a connection that has died without a word', () => {
  const fixture = withPortal(POLICY);

  test('costs its leader the lead, and nobody his own answer: it is asked again over a new one', async () => {
    await using agent = await fixture.install(PATIENT[0], 'timeout = "2s"');
    using staying = await stays(agent, fixture.portal, 'alice');
    const { pid, waiter } = staying;
    const run = agent.connect('user4', { ID: '4' });
    await fixture.portal.arrived(3, 'CheckPolicy', 60_000);
    assert.equal(peersOf(fixture.portal).size, 1, 'over the one that stands');
    // Nothing comes back over it; the hook that waits leads in its place.
    await fixture.portal.until(() => peersOf(fixture.portal, 'user4').size > 1, 'it is asked anew', 60_000);
    await until(() => !isAlive(pid), 'the leader has left');
    assert.equal(waiter.answer, null, 'nor was the other one told of a failure');
    staying.release();
    assert.deepEqual([(await run).code, (await run).decision?.['reason']], [1, 'no 4']);
    await until(() => waiter.answer !== null, 'the waiter is answered');
    assert.match(waiter.answer ?? '', /"allowed":true/);
    const failures = `SELECT * FROM counter WHERE name = 'ocserv.circuit_breaker.failures_total' AND value > 0`;
    assert.deepEqual(agent.query(failures), [], 'the portal is not to blame');
  });
});

describe('a state that is lost while a hook waits', () => {
  const fixture = withPortal(POLICY);

  for (const table of ['leader', 'question', 'decision', 'breaker']) {
    test(`lets nobody in who was refused before, also where the fail mode is open: ${table}`, async () => {
      await using agent = await fixture.install(
        '[hook]\ndeadline = "30s"\n[resilience]\nfail_mode = "open"\n[resilience.cache]\ndeny_ttl = "1ms"',
        'timeout = "2s"',
      );
      assert.equal((await agent.connect('user4')).decision?.['source'], 'portal');
      await calm(agent);
      using sibling = new Waiter(agent, 'waiter', { taken: -1 });
      const signs = setInterval(() => leadBy(agent, sibling.pid), 200);
      try {
        leadBy(agent, sibling.pid);
        const runs = [agent.connect('user4', { ID: '4' }), agent.connect('user8', { ID: '8' })];
        await until(() => questions(agent).length === 3, 'they wait');
        await fixture.portal.stop();
        clearInterval(signs);
        write(agent, 'UPDATE leader SET pid = 0');
        write(agent, `ALTER TABLE ${table} RENAME TO gone`);
        const [refused, unknown] = await Promise.all(runs);
        assert.equal(refused?.code, 1, refused?.stderr);
        assert.equal(refused?.decision?.['source'], 'stale', refused?.stderr);
        assert.equal(unknown?.decision?.['source'], 'fail-open', unknown?.stderr);
      } finally {
        clearInterval(signs);
        write(agent, `ALTER TABLE gone RENAME TO ${table}`);
      }
    });
  }
});

describe('a drain', () => {
  const fixture = withPortal(POLICY);

  /** A drain that leads and has something to do until it is released. */
  async function draining(
    agent: Agent,
    portal: Portal,
  ): Promise<Disposable & { release(): void; pid: number }> {
    const release = portal.hold('ReportConnect');
    const run = await agent.connect('alice');
    assert.equal(run.code, 0, run.stderr);
    await portal.arrived(1, 'ReportConnect', 60_000);
    await until(() => agent.drain !== null && leader(agent) === agent.drain, 'the drain leads');
    return { release, [Symbol.dispose]: release, pid: agent.drainThere };
  }

  const install = () => fixture.install(`${PATIENT[0]}\n${EVENTS}`, PATIENT[1]);

  test('asks for hooks over the connection that it has: they make none', async () => {
    await using agent = await install();
    withoutReception(agent);
    const { portal } = fixture;
    using drain = await draining(agent, portal);
    const before = portal.connections.handshakes;
    const runs = names.slice(0, 12).map((user, i) => agent.connect(user, { ID: `${i}` }));
    for (const [i, run] of (await Promise.all(runs)).entries()) {
      assert.equal(run.code, i % 4 === 0 ? 1 : 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal');
      if (i % 4 === 0) assert.equal(run.decision?.['reason'], `no ${i}`);
    }
    assert.equal(portal.connections.handshakes, before);
    const [event] = portal.callsOf('ReportConnect');
    for (const user of names.slice(0, 12)) assert.deepEqual(peersOf(portal, user), new Set([event?.peer]));
    assert.equal(leader(agent), drain.pid);
    drain.release();
    await gone(agent);
    assert.equal(leader(agent), 0, 'at its end it gives the lead back');
    assert.deepEqual(questions(agent), []);
    assert.equal((await agent.connect('user16', { ID: '16' })).code, 1);
    assert.equal(stderrOf(agent).includes('cannot be asked for connects'), false);
  });

  test('takes the lead over from a hook that stays, once that has nothing on its way: in between nobody else can', async () => {
    await using agent = await install();
    const { portal } = fixture;
    using staying = await stays(agent, portal, 'alice');
    await portal.arrived(1, 'ReportConnect', 60_000);
    assert.equal(leader(agent), staying.pid, 'whose question is on its way');
    write(agent, 'CREATE TABLE led (pid INTEGER)');
    write(
      agent,
      'CREATE TRIGGER leads AFTER UPDATE OF pid ON leader BEGIN INSERT INTO led VALUES (NEW.pid); END',
    );
    staying.release();
    // The portal's answers to what these leave show that the drain's connection is alive.
    for (let n = 0; agent.query('SELECT * FROM led').length === 0 && n < 100; n++) {
      assert.equal((await agent.connect('alice', { ID: `${n}` })).decision?.['source'], 'cache');
    }
    assert.deepEqual(agent.query('SELECT pid FROM led'), [{ pid: agent.drain }]);
    await until(() => !isAlive(staying.pid), 'the hook leaves');
    assert.notEqual(staying.waiter.answer, null);
  });

  const failing = async (agent: Agent, error: 'INTERNAL' | 'UNAVAILABLE'): Promise<void> => {
    const { portal } = fixture;
    using drain = await draining(agent, portal);
    await portal.setPolicy({ users: { ...POLICY.users, user1: { error } } });
    const failed = await agent.connect('user1', { ID: '1' });
    assert.equal(failed.decision?.['source'], 'fail-close', failed.stderr);
    await until(() => leader(agent) === 0, 'it has given the lead back');
    assert.equal(agent.drain, drain.pid, 'it goes on');
    const next = await agent.connect('user5', { ID: '5' });
    assert.deepEqual(verdicts([next]), [[0, 'portal']]);
    assert.notDeepEqual(peersOf(portal, 'user5'), peersOf(portal, 'user1'));
    drain.release();
    await portal.answered(2, 'ReportConnect', 60_000);
    await gone(agent);
  };

  test('that the portal has failed over a question leads no more, and works on', async () => {
    await using agent = await install();
    withoutReception(agent);
    await failing(agent, 'INTERNAL');
  });

  test('that the portal has failed for two users goes on taking calls, and for three takes no more', async () => {
    await using agent = await install();
    const { portal } = fixture;
    using drain = await draining(agent, portal);
    const sick = ['user1', 'user2', 'user3'];
    const failing = Object.fromEntries(sick.map((user) => [user, { error: 'INTERNAL' }]));
    await portal.setPolicy({ users: { ...POLICY.users, ...failing } });
    for (const user of sick) {
      assert.equal(existsSync(sign(agent)), true);
      const run = await agent.connect(user, { ID: user.slice(-1) });
      assert.equal(run.decision?.['source'], 'fail-close', run.stderr);
    }
    assert.equal(existsSync(sign(agent)), false);
    drain.release();
    await portal.answered(1, 'ReportConnect', 60_000);
    await gone(agent);
  });

  test('that the portal has failed over a call that was handed over leads no more, takes no more calls, and works on', async () => {
    await using agent = await install();
    await failing(agent, 'UNAVAILABLE');
  });

  test('that is killed leaves those that wait to one of them', async () => {
    await using agent = await install();
    withoutReception(agent);
    const { portal } = fixture;
    using drain = await draining(agent, portal);
    using held = holding(portal);
    const runs = names.slice(0, 6).map((user, i) => agent.connect(user, { ID: `${i}` }));
    await until(() => questions(agent).filter(({ taken }) => taken > 0).length === 6, 'all are asked for');
    process.kill(drain.pid, 'SIGKILL');
    await until(() => leader(agent) !== drain.pid, 'another one leads');
    held.release();
    drain.release();
    assert.deepEqual(
      verdicts(await Promise.all(runs)),
      [1, 0, 0, 0, 1, 0].map((code) => [code, 'portal']),
    );
  });
});

describe('auth', () => {
  const fixture = withPortal(POLICY);
  const auth = (agent: Agent, user: string) =>
    agent.command(
      'auth',
      '--user',
      user,
      '--group',
      CONNECT.GROUPNAME,
      '--client-ip',
      CONNECT.IP_REAL,
      '--json',
    );

  test('leaves its question to a leader, and is decided by the answer', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    const hook = agent.connect('user1', { ID: '1' });
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const asked = [auth(agent, 'user4'), auth(agent, 'user5')];
    await fixture.portal.arrived(3, 'CheckPolicy', 60_000);
    assert.equal(questions(agent).length, 2);
    held.release();
    const [denied, allowed] = await Promise.all(asked);
    assert.equal(denied?.code, 1, denied?.stderr);
    assert.equal(JSON.parse(denied?.stdout ?? '').reason, 'no 4');
    assert.equal(allowed?.code, 0, allowed?.stderr);
    assert.equal((await hook).code, 0);
    assert.equal(peersOf(fixture.portal).size, 1);
    assert.equal(agent.query('SELECT * FROM session').length, 1, 'and makes no session');
    await calm(agent);
  });

  test('never leads: whoever asks at the same time does so by itself', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    const asked = auth(agent, 'user4');
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    assert.deepEqual(agent.query('SELECT term, pid FROM leader'), [{ term: 0, pid: 0 }]);
    const second = auth(agent, 'user5');
    await fixture.portal.arrived(2, 'CheckPolicy', 60_000);
    assert.equal(peersOf(fixture.portal).size, 2);
    assert.deepEqual(questions(agent), []);
    assert.equal(leader(agent), 0);
    held.release();
    assert.deepEqual([(await asked).code, (await second).code], [1, 0]);
  });

  test('asks by itself when its leader dies', async () => {
    await using agent = await fixture.install(...PATIENT);
    using held = holding(fixture.portal);
    void agent.connect('user1', { ID: '1' });
    await fixture.portal.arrived(1, 'CheckPolicy', 60_000);
    const asked = auth(agent, 'user4');
    await fixture.portal.arrived(2, 'CheckPolicy', 60_000);
    const pid = leader(agent);
    process.kill(pid, 'SIGKILL');
    await fixture.portal.arrived(3, 'CheckPolicy', 60_000);
    assert.equal(leader(agent), pid, 'nobody has taken its place');
    assert.deepEqual(questions(agent), []);
    held.release();
    assert.equal((await asked).code, 1);
  });
});
