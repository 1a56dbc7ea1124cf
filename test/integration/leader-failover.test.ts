import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Agent, withoutReception } from './agent.ts';
import { EVENTS } from './events.ts';
import { withPortal } from './fixture.ts';
import { leader, questions, stays, until } from './leader.ts';
import { pathTo } from './path.ts';

describe('a failover that nobody is told of', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('denies nobody and opens no breaker, while a hook leads and a drain has a connection that died with the hook’s', async () => {
    const { portal } = fixture;
    using path = await pathTo(portal.port);
    await using agent = await Agent.install({
      address: `localhost:${path.port}`,
      certificates: fixture.certificates,
      config: `[hook]\ndeadline = "60s"\n${EVENTS}`,
      portal: 'timeout = "2s"',
    });
    withoutReception(agent);
    const releaseEvent = portal.hold('ReportConnect');
    using staying = await stays(agent, portal, 'alice');
    await portal.arrived(1, 'ReportConnect', 60_000);
    assert.equal(leader(agent), staying.pid);
    path.dieSilently();
    const runs = [1, 2, 3, 4, 5].map((n) => agent.connect(`user${n}`, { ID: `${n}` }));
    await until(() => questions(agent).filter(({ taken }) => taken > 0).length === 6, 'all are asked for');
    staying.release();
    releaseEvent();
    for (const { code, decision, stderr } of await Promise.all(runs)) {
      assert.deepEqual([code, decision?.['source']], [0, 'portal'], stderr);
    }
    const failures = `SELECT * FROM counter WHERE name = 'ocserv.circuit_breaker.failures_total'`;
    assert.deepEqual(agent.query(failures), [], 'nothing is held against the portal');
  });
});
