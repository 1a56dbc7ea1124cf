import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Agent } from './agent.ts';
import { withPortal } from './fixture.ts';
import { failureOf, failuresHeld } from './portal-failures.ts';

describe('the portal client', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  test('asks the next address when the first refuses, and retries a lost call once', async () => {
    await using agent = await Agent.install({
      address: ['127.0.0.1:1', fixture.portal.address],
      certificates: fixture.certificates,
    });
    assert.equal((await agent.connect('alice')).decision?.['source'], 'portal');
    fixture.portal.forget();
    await fixture.portal.setPolicy({ error: 'UNAVAILABLE', users: { alice: { allowed: true } } });
    const run = await agent.connect('bob');
    assert.equal(run.decision?.['source'], 'fail-close');
    assert.equal(fixture.portal.calls.length, 2, 'one call and one retry');
    assert.equal(await failuresHeld(agent), 1, 'one admission is one outcome');
  });

  test('holds nothing against the portal-wide breaker that one account provokes at one address of two', async () => {
    await using agent = await Agent.install({
      address: [fixture.portal.address, '127.0.0.1:1'],
      certificates: fixture.certificates,
    });
    await fixture.portal.setPolicy({
      error: 'UNAVAILABLE',
      error_message: 'ssl alert unknown ca',
      users: {},
    });
    for (let i = 0; i < 4; i++) await agent.connect('mallory', { IP_REAL: `198.51.100.${i}` });
    assert.equal(await failuresHeld(agent), 1);
  });

  test('takes what the portal says for its words, not for a fault of our certificates', async () => {
    await using agent = await fixture.install();
    await fixture.portal.setPolicy({
      error: 'UNAVAILABLE',
      error_message: 'upstream: ssl alert unknown ca',
      users: {},
    });
    assert.equal(failureOf(await agent.connect('alice'))['code'], 'UNAVAILABLE');
    assert.equal(await failuresHeld(agent), 1);
  });

  test('treats statuses that wait for nobody as a misconfiguration, logged as an error with the cure', async () => {
    for (const [error, cure] of [
      ['UNAUTHENTICATED', /cert_file/],
      ['PERMISSION_DENIED', /agent_id/],
      ['UNIMPLEMENTED', /proto-check/],
    ] as const) {
      await using agent = await fixture.install();
      await fixture.portal.setPolicy({ error, users: { alice: { allowed: true } } });
      const failure = failureOf(await agent.connect('alice'));
      assert.equal(failure['level'], 'error');
      assert.match(String(failure['cure']), cure);
      assert.equal(await failuresHeld(agent), 0);
    }
  });

  test('lets no single account open the breaker with failures that its own request provokes', async () => {
    await using agent = await fixture.install();
    await fixture.portal.setPolicy({ users: { alice: { allowed: true } }, error: 'INTERNAL' });
    for (let i = 0; i < 5; i++) await agent.connect('mallory', { IP_REAL: `198.51.100.${i}` });
    assert.equal(await failuresHeld(agent), 1);
    for (const user of ['u1', 'u2']) await agent.connect(user);
    assert.equal((await agent.connect('u3')).decision?.['breaker'], 'open');
  });

  test('speaks without TLS to a portal on this machine only when told so', async () => {
    await using agent = await fixture.install();
    writeFileSync(
      agent.configFile,
      '[portal]\naddress = "portal.example.net:9091"\n[portal.tls]\nenabled = false\n',
      { mode: 0o600 },
    );
    const run = await agent.connect('alice');
    assert.equal(run.code, 2);
    assert.match(run.stderr, /config\.toml:4: .*not loopback.*insecure = true/);
  });
});
