import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { describe, test } from 'node:test';
import { withoutReception } from './agent.ts';
import { EVENTS } from './events.ts';
import { withPortal } from './fixture.ts';
import { attended } from './handed-over.ts';
import { leader, PATIENT, until } from './leader.ts';

const mayRaise = process.geteuid?.() === 0;

describe('a drain', {
  skip: mayRaise || process.env['CI'] !== undefined ? false : 'priorities need root',
}, () => {
  const fixture = withPortal({ users: { alice: { allowed: true }, bob: { allowed: true } } });

  test('comes after the hooks, and before them while it asks the portal for one', async () => {
    const [config, portal] = PATIENT;
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    withoutReception(agent);
    const usual = getPriority();
    const report = fixture.portal.hold('ReportConnect');
    const connect = await agent.connect('alice');
    await fixture.portal.arrived(1, 'ReportConnect');
    const drain = agent.drainThere;
    assert.ok(drain > 0, connect.stderr);
    assert.equal(getPriority(drain), Math.max(usual, 10));

    await until(() => leader(agent) === drain, 'it leads');
    const check = fixture.portal.hold('CheckPolicy');
    const { ended } = agent.start({
      REASON: 'connect',
      USERNAME: 'bob',
      ID: '4712',
      IP_REAL: '198.51.100.8',
    });
    await fixture.portal.arrived(2, 'CheckPolicy');
    await until(() => getPriority(drain) < usual, 'it hurries');
    check();
    const { code, stderr } = await ended;
    assert.equal(code, 0, stderr);
    await until(() => getPriority(drain) === Math.max(usual, 10), 'it stands back again');
    report();
  });

  test('comes before them while it has their calls in hand, and after them once it takes none any more', async () => {
    const [config, portal] = PATIENT;
    await using agent = await fixture.install(`${config}\n${EVENTS}`, portal);
    const usual = getPriority();
    const report = fixture.portal.hold('ReportConnect');
    await attended(agent);
    const drain = agent.drainThere;
    assert.equal(getPriority(drain), usual);
    const check = fixture.portal.hold('CheckPolicy');
    const bob = agent.connect('bob');
    await until(() => getPriority(drain) < usual, 'it hurries');
    check();
    assert.equal((await bob).code, 0);
    await until(() => getPriority(drain) === usual, 'nobody waits');
    appendFileSync(agent.configFile, '# changed');
    const { code, stderr } = await agent.connect('bob');
    assert.equal(code, 0, stderr);
    assert.equal(getPriority(drain), Math.max(usual, 10), 'its configuration is an old one');
    report();
  });
});
