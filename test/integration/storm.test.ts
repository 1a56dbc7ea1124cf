import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { type Agent, CONNECT } from './agent.ts';
import { openedEarlier } from './breaker.ts';
import { withPortal } from './fixture.ts';

const USERS = Object.fromEntries(
  Array.from({ length: 100 }, (_, i) => [
    `user${i}`,
    i % 4 === 0 ? { allowed: false, reason: `no ${i}` } : { allowed: true },
  ]),
);

describe('many hooks at once on one state', () => {
  const fixture = withPortal({ default: { allowed: false }, users: USERS });

  test('each get their own decision, and none finds the state locked', async () => {
    // Time for a busy machine: what is asserted here is who got which answer, not how fast.
    await using agent = await fixture.install('[hook]\ndeadline = "100s"', 'timeout = "20s"');
    const before = fixture.portal.connections.handshakes;
    const runs = await Promise.all(
      Object.keys(USERS).map((user, i) =>
        agent.connect(user, { ID: `${1_000 + i}`, IP_REAL: `198.51.100.${i}` }),
      ),
    );
    for (const [i, run] of runs.entries()) {
      assert.equal(run.code, i % 4 === 0 ? 1 : 0, run.stderr);
      assert.equal(run.decision?.['source'], 'portal');
      assert.equal(run.decision?.['username'], `user${i}`);
      if (i % 4 === 0) assert.equal(run.decision?.['reason'], `no ${i}`);
      assert.equal(run.log.length, 1, run.stderr);
    }
    assert.equal(fixture.portal.calls.length, 100);
    // Whoever leads may ask for all of them at once, over one connection. How few lead is asked of test/integration/leader.test.ts.
    assert.ok(
      fixture.portal.connections.handshakes - before <= 4 * availableParallelism(),
      'no more connect to the portal than the machine can serve',
    );
    assert.equal(agent.query('SELECT * FROM session').length, 75);
    assert.equal(agent.query('SELECT * FROM decision').length, 100);
  });

  test('answer all from the cache while it is fresh, a cleanup running among them', async () => {
    await using agent = await fixture.install(
      '[resilience.cache]\nttl = "1h"\ndeny_ttl = "1h"\nstale_ttl = "1h"',
    );
    await agent.connect('user1');
    fixture.portal.forget();
    const cleanups = Array.from({ length: 3 }, () => agent.command('cache', 'cleanup'));
    const runs = await Promise.all(
      Array.from({ length: 60 }, (_, i) => agent.connect('user1', { ID: `${i + 1}` })),
    );
    for (const run of runs) assert.equal(run.decision?.['source'], 'cache', run.stderr);
    for (const cleanup of await Promise.all(cleanups)) assert.equal(cleanup.code, 0, cleanup.stderr);
    assert.equal(fixture.portal.calls.length, 0);
    const [hits] = agent.query<{ value: number }>(
      `SELECT value FROM counter WHERE name = 'ocserv.cache.hits_total'`,
    );
    assert.equal(hits?.value, 60, 'every one is counted');
  });

  test('leave a portal alone that their siblings found dead while they waited for their turn', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "100s"', 'timeout = "20s"');
    await fixture.portal.setPolicy({ error: 'UNAVAILABLE', users: {} });
    const runs = await Promise.all(
      Array.from({ length: 60 }, (_, i) => agent.connect(`user${i}`, { ID: `${i + 1}` })),
    );
    for (const run of runs) assert.equal(run.decision?.['source'], 'fail-close', run.stderr);
    const asked = new Set(fixture.portal.callsOf('CheckPolicy').map(({ request }) => request.username));
    const atOnce = 4 * availableParallelism();
    // Those who had their turn before the third failure was known, and as many again who began meanwhile.
    assert.ok(asked.size <= 2 * atOnce + 3, `${asked.size} asked, of which ${atOnce} can at once`);
  });

  test('make the state once when all come first', async () => {
    await using agent = await fixture.install('[hook]\ndeadline = "100s"', 'timeout = "20s"');
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, i) => agent.connect('user1', { ID: `${i + 1}` })),
    );
    for (const run of runs) assert.equal(run.code, 0, run.stderr);
    for (const run of runs) assert.equal(run.log.length, 1, run.stderr);
    assert.equal(agent.query('SELECT * FROM session').length, 20);
  });
});

describe('a half-open breaker', () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: true } } });
  const HALF_OPEN =
    '[resilience.circuit_breaker]\ntimeout = "1s"\nmax_requests = 3\n[hook]\ndeadline = "30s"';

  /** Opened, with its timeout past: the next one that asks is the first trial. */
  const halfOpen = async (agent: Agent): Promise<void> => {
    await agent.command('breaker', 'trip');
    openedEarlier(agent, 5_000);
  };

  test('never has more than max_requests calls out, counted at the portal', async () => {
    await using agent = await fixture.install(HALF_OPEN, 'timeout = "20s"');
    await halfOpen(agent);
    const release = fixture.portal.hold('CheckPolicy');
    const refused = Promise.withResolvers<void>();
    let ended = 0;
    const runs = Array.from({ length: 30 }, async (_, i) => {
      const run = await agent.connect('alice', { ID: `${i + 1}` });
      if (++ended === 27) refused.resolve();
      return run;
    });
    // The trials are held at the portal, so the first 27 to end are those who were refused.
    await refused.promise;
    await fixture.portal.arrived(3, 'CheckPolicy');
    release();
    const sources = (await Promise.all(runs)).map((run) => String(run.decision?.['source'])).sort();
    assert.deepEqual(sources, [...Array(27).fill('fail-close'), 'portal', 'portal', 'portal']);
    assert.equal(fixture.portal.maxInFlight('CheckPolicy'), 3);
    assert.equal(JSON.parse((await agent.command('breaker', 'status', '--json')).stdout).state, 'closed');
  });

  test('gets the place of a killed trial back when its lease has expired, and not before', async () => {
    await using agent = await fixture.install(
      HALF_OPEN.replace('max_requests = 3', 'max_requests = 1'),
      'timeout = "1s"',
    );
    await halfOpen(agent);
    const release = fixture.portal.hold('CheckPolicy');
    const { child, ended } = agent.start({ ...CONNECT, USERNAME: 'alice' });
    await fixture.portal.arrived(1, 'CheckPolicy');
    process.kill(
      Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').trim()),
      'SIGKILL',
    );
    const killed = await ended;
    assert.notEqual(killed.code, 0, 'a killed connect lets nobody in');
    release();
    const early = await agent.connect('bob');
    assert.equal(early.decision?.['source'], 'fail-close', 'the place is taken while the lease lives');
    // The lease is portal.timeout + 1 s, and its passing is what is tried here.
    const [row] = agent.query<{ state: string }>('SELECT state FROM breaker');
    const { trials } = JSON.parse(row?.state ?? '') as { trials: { since: { wall: number } }[] };
    await new Promise((resolve) => setTimeout(resolve, (trials[0]?.since.wall ?? 0) + 2_050 - Date.now()));
    const late = await agent.connect('bob');
    assert.equal(late.code, 0, late.stderr);
    assert.equal(late.decision?.['breaker'], 'half-open');
  });
});
