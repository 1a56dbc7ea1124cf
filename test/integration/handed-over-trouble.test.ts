import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Agent, CONNECT } from './agent.ts';
import { openedEarlier } from './breaker.ts';
import { EVENTS, gone, stderrOf } from './events.ts';
import { withPortal } from './fixture.ts';
import { attended, withoutNode } from './handed-over.ts';
import { fill, MOUNTS, mountTmpfs } from './mounts.ts';
import { pathTo } from './path.ts';

const USERS = { default: { allowed: false }, users: { alice: { allowed: true }, bob: { allowed: true } } };

describe('a call, where the folder of answers can hold no more', MOUNTS, () => {
  const fixture = withPortal(USERS);

  test('is recorded and told by a process of its own, and not by the drain that could not have told it', async () => {
    await using agent = await fixture.install(EVENTS);
    await using _folder = mountTmpfs(agent.runDir);
    await attended(agent);
    const release = fixture.portal.hold('CheckPolicy');
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'bob', ID: '5000' });
    await fixture.portal.arrived(2, 'CheckPolicy', 20_000);
    fill(agent.runDir);
    release();
    const run = await ended;
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.log.filter(({ msg }) => msg === 'connect allowed').length, 1, run.stderr);
    assert.equal(agent.query(`SELECT * FROM session WHERE username = 'bob'`).length, 1);
    await fixture.portal.answered(2, 'ReportConnect', 60_000);
  });

  test('is answered by a process of its own when it is read-only, and the drain ends in order', async () => {
    await using agent = await fixture.install(EVENTS);
    const folder = mountTmpfs(agent.runDir);
    await using _folder = folder;
    await attended(agent);
    // Answered, and to be cleared away.
    await agent.hook({ ...CONNECT, USERNAME: 'alice', ID: '4001' }, withoutNode(agent));
    folder.readOnly();
    const run = await agent.connect('bob', { ID: '5000' });
    assert.equal(run.code, 0, run.stderr);
    await gone(agent);
    const told = stderrOf(agent).split('\n').slice(0, -1);
    assert.deepEqual(
      told.filter((line) => !line.startsWith('{') || line.includes('internal fault')),
      [],
    );
  });
});

describe('a trial call of a half-open breaker, while a drain is there', () => {
  const fixture = withPortal(USERS);

  test('goes over a connection of its own: the one that stands may have died in the outage', async () => {
    using path = await pathTo(fixture.portal.port);
    await using agent = await Agent.install({
      address: `localhost:${path.port}`,
      certificates: fixture.certificates,
      config: EVENTS,
    });
    await attended(agent);
    await fixture.portal.answered(1, 'ReportConnect', 60_000);
    await agent.command('breaker', 'trip');
    path.dieSilently();
    // An answer shows for a second that a connection is alive. Meanwhile the drain stays, as long as there are calls.
    const end = performance.now() + 1_500;
    while (performance.now() < end) {
      const cached = { ...CONNECT, USERNAME: 'alice', ID: '4000', IP_REAL: '198.51.100.99' };
      assert.equal((await agent.hook(cached, withoutNode(agent))).code, 0);
    }
    openedEarlier(agent, 3_600_000);
    const trial = await agent.hook({ ...CONNECT, USERNAME: 'bob', ID: '5000' }, withoutNode(agent));
    assert.deepEqual([trial.code, trial.decision?.['source']], [0, 'portal'], trial.stderr);
    assert.equal(trial.decision?.['breaker'], 'half-open');
  });
});
