import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withPortal } from './fixture.ts';

const POLICY = {
  default: { allowed: false, reason: 'unknown user' },
  users: {
    alice: { allowed: true, routes: ['10.0.0.0/8'], dns_servers: ['10.0.0.53'] },
    bob: { allowed: false, reason: 'on leave until Monday' },
    mallory: { allowed: true, should_disconnect: true },
    weird: { error: 'INVALID_ARGUMENT', error_message: 'no such realm' },
    brief: { allowed: true, metadata: { cache_ttl: '0s' } },
  },
};

describe('a connect', () => {
  const fixture = withPortal(POLICY);

  test('is allowed by the portal, which is told who asks and for which session', async () => {
    await using agent = await fixture.install();
    const run = await agent.connect('alice', { VHOST: 'vpn.example' });
    assert.equal(run.code, 0, run.stderr);
    assert.equal(run.decision?.['source'], 'portal');
    assert.deepEqual(run.decision?.['routes'], ['10.0.0.0/8']);
    const [call] = fixture.portal.callsOf('CheckPolicy');
    assert.deepEqual(
      { ...call?.request, requestTime: undefined },
      {
        username: 'alice',
        groupname: 'staff',
        clientIp: '198.51.100.7',
        vpnIp: '10.200.63.50',
        sessionId: run.decision?.['session_id'],
        device: 'vpn0',
        requestTime: undefined,
      },
    );
    assert.match(String(call?.request.sessionId), /^4711-\d{10}$/);
    assert.equal(call?.agentId, 'vpn-test');
    assert.equal(call?.vhost, 'vpn.example');
    const [session] = agent.query<{ session_id: string; username: string; ended_wall: number | null }>(
      'SELECT * FROM session',
    );
    assert.equal(session?.session_id, call?.request.sessionId);
    assert.equal(session?.ended_wall, null);
  });

  test('is answered from the cache while the decision is fresh, without the portal', async () => {
    await using agent = await fixture.install();
    await agent.connect('alice');
    await fixture.portal.stop();
    const run = await agent.connect('alice', { ID: '4712' });
    assert.equal(run.code, 0);
    assert.equal(run.decision?.['source'], 'cache');
    assert.deepEqual(run.decision?.['routes'], ['10.0.0.0/8']);
    assert.equal(fixture.portal.calls.length, 1);
  });

  test('is denied by the portal with its reason, and again from the cache', async () => {
    await using agent = await fixture.install();
    for (const source of ['portal', 'cache']) {
      const run = await agent.connect('bob');
      assert.equal(run.code, 1);
      assert.equal(run.decision?.['source'], source);
      assert.equal(run.decision?.['reason'], 'on leave until Monday');
    }
    assert.equal(fixture.portal.calls.length, 1);
    assert.deepEqual(agent.query('SELECT * FROM session'), []);
  });

  test('is denied when the portal says should_disconnect, whatever it says of allowed', async () => {
    await using agent = await fixture.install();
    const run = await agent.connect('mallory');
    assert.equal(run.code, 1);
    assert.equal(run.decision?.['source'], 'portal');
  });

  test('that the portal calls invalid is denied, not kept, and no failure of the portal', async () => {
    await using agent = await fixture.install('[resilience.circuit_breaker]\nfailure_threshold = 1');
    for (let i = 0; i < 2; i++) {
      const run = await agent.connect('weird');
      assert.equal(run.code, 1);
      assert.equal(run.decision?.['source'], 'portal');
      assert.match(String(run.decision?.['reason']), /no such realm/);
      assert.equal(run.decision?.['breaker'], 'closed');
    }
    assert.equal(fixture.portal.calls.length, 2);
  });

  test('is asked anew each time when the portal forbids caching', async () => {
    await using agent = await fixture.install();
    await agent.connect('brief');
    assert.equal((await agent.connect('brief')).decision?.['source'], 'portal');
    assert.equal(fixture.portal.calls.length, 2);
  });

  test('falls back to a stale decision when the portal is gone, and to a denial without one', async () => {
    await using agent = await fixture.install('[resilience.cache]\nttl = "0s"\n');
    await agent.connect('alice');
    await fixture.portal.stop();
    const known = await agent.connect('alice');
    assert.equal(known.code, 0);
    assert.equal(known.decision?.['source'], 'stale');
    assert.match(String(known.decision?.['portal_error']), /^UNAVAILABLE: nothing listens on 127/);
    const stranger = await agent.connect('carol');
    assert.equal(stranger.code, 1);
    assert.equal(stranger.decision?.['source'], 'fail-close');
    const elsewhere = await agent.connect('alice', { IP_REAL: '198.51.100.8' });
    assert.equal(elsewhere.code, 1, 'stale is bound to the client address');
  });

  test('under fail mode close is denied even where a stale decision exists', async () => {
    await using agent = await fixture.install('[resilience]\nfail_mode = "close"\ncache.ttl = "0s"');
    await agent.connect('alice');
    await fixture.portal.stop();
    const run = await agent.connect('alice');
    assert.equal(run.code, 1);
    assert.equal(run.decision?.['source'], 'fail-close');
  });

  test('under fail mode open is allowed, but not for one whom the portal has just denied', async () => {
    await using agent = await fixture.install('[resilience]\nfail_mode = "open"\ncache.deny_ttl = "0s"');
    await agent.connect('bob');
    await fixture.portal.stop();
    const stranger = await agent.connect('carol');
    assert.equal(stranger.code, 0);
    assert.equal(stranger.decision?.['source'], 'fail-open');
    assert.equal(stranger.decision?.['level'], 'warn');
    const denied = await agent.connect('bob');
    assert.equal(denied.code, 1);
    assert.equal(denied.decision?.['source'], 'stale');
  });

  test('of an emergency user is allowed by any fail mode, loudly', async () => {
    await using agent = await fixture.install(
      '[resilience]\nfail_mode = "close"\nemergency_users = ["root-admin"]',
    );
    assert.equal((await agent.connect('root-admin')).code, 1, 'the portal can be asked, so it decides');
    await agent.command('cache', 'clear');
    await fixture.portal.stop();
    const run = await agent.connect('root-admin');
    assert.equal(run.code, 0);
    assert.equal(run.decision?.['source'], 'emergency');
    assert.equal(run.decision?.['level'], 'error');
  });

  test('in observe mode is decided and logged, and let in whatever was decided', async () => {
    await using agent = await fixture.install('[hook]\nmode = "observe"');
    const run = await agent.connect('bob');
    assert.equal(run.code, 0);
    assert.equal(run.decision?.['allowed'], false);
    assert.equal(run.decision?.['mode'], 'observe');
    assert.equal(agent.query('SELECT * FROM session').length, 1, 'who was let in has a session');
    assert.equal((await agent.connect('x'.repeat(64))).code, 0);
  });

  test('opens the breaker at the threshold, after which the portal is not asked until the timeout', async () => {
    await using agent = await fixture.install(
      '[resilience.circuit_breaker]\ntimeout = "1s"\nmax_requests = 1',
    );
    await fixture.portal.stop();
    for (const user of ['u1', 'u2', 'u3'])
      assert.equal((await agent.connect(user)).decision?.['breaker'], 'closed');
    const refused = await agent.connect('alice');
    assert.equal(refused.decision?.['breaker'], 'open');
    assert.equal(refused.decision?.['portal_error'], null);
    assert.match(String(refused.decision?.['reason']), /circuit breaker is open/);
    await fixture.portal.start();
    const shown = JSON.parse((await agent.command('breaker', 'status', '--json')).stdout) as {
      retry_at: string;
    };
    await new Promise((resolve) => setTimeout(resolve, Date.parse(shown.retry_at) - Date.now() + 5));
    const trial = await agent.connect('alice');
    assert.equal(trial.code, 0, trial.stderr);
    assert.equal(trial.decision?.['breaker'], 'half-open');
    assert.equal((await agent.connect('bob')).decision?.['breaker'], 'closed');
  });

  test('with an invalid value is denied without asking anybody', async () => {
    await using agent = await fixture.install();
    for (const env of [
      { USERNAME: '' },
      { USERNAME: 'é'.repeat(32) },
      { USERNAME: 'a\ufffdb' },
      { GROUPNAME: 'g'.repeat(64) },
      { IP_REAL: '300.1.1.1' },
      { IP_REAL: '' },
    ]) {
      const run = await agent.connect('alice', env);
      assert.equal(run.code, 1, JSON.stringify(env));
      assert.equal(run.decision?.['source'], 'invalid');
    }
    assert.equal(fixture.portal.calls.length, 0);
  });

  test('without a required variable, or with an unknown reason, ends with 2 and says what is missing', async () => {
    await using agent = await fixture.install();
    const noAddress = await agent.hook({ REASON: 'connect', USERNAME: 'alice' });
    assert.equal(noAddress.code, 2);
    assert.match(noAddress.stderr, /missing in the environment: IP_REAL/);
    const unknown = await agent.hook({ REASON: 'coffee', USERNAME: 'alice' });
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /unknown REASON/);
  });

  test('with an unusable configuration ends with 2, naming every error and all its figures', async () => {
    await using agent = await fixture.install('[resilience.cache]\nttl = "soon"\n[hook]\ndedline = "8s"');
    const run = await agent.connect('alice');
    assert.equal(run.code, 2);
    assert.match(run.stderr, /config\.toml:\d+: resilience\.cache\.ttl: cannot use \\"soon\\"/);
    assert.match(run.stderr, /did you mean hook\.deadline\?/);
    const figures = run.log.at(-1);
    assert.equal(figures?.['username'], 'alice');
    assert.equal(figures?.['client_ip'], '198.51.100.7');
    const lost = await agent.disconnect('alice', {
      STATS_BYTES_IN: '18446744073709551615',
      STATS_DURATION: '7',
    });
    assert.equal(lost.code, 2);
    assert.equal(lost.log.at(-1)?.['bytes_in'], '18446744073709551615');
  });
});
