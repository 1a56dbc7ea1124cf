import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';

const users = { alice: {}, bob: {}, carol: { allowed: false, reason: 'on leave until Monday' } };
const down = { down: true, users };

describe('ocagent-hook under a real ocserv while the portal is down', () => {
  const real = withRealHook({ users: Object.keys(users), policy: { users } });

  test('fail mode stale lets in whom the portal let in before, and nobody else', limits, async () => {
    real.configure(`
      [resilience]
      fail_mode = "stale"
      [resilience.cache]
      ttl = "1ms"`);
    const before = await real.connect('alice');
    assertConnected(before);
    await before.disconnect();
    await real.log.waitFor({ msg: 'disconnect recorded' });
    await real.portal.setPolicy(down);
    const from = real.log.count;

    const alice = await real.connect('alice');
    assertConnected(alice);
    assertRefused(await real.connect('bob'));

    const line = await real.log.waitFor({ msg: 'connect allowed', username: 'alice' }, { from });
    assert.partialDeepStrictEqual(line, { source: 'stale', level: 'warn', cache: { state: 'stale' } });
    assert.match(String(line['portal_error']), /UNAVAILABLE/);
    assert.partialDeepStrictEqual(await real.decision('bob'), {
      msg: 'connect denied',
      source: 'fail-close',
      cache: { state: 'miss' },
    });
    assert.deepEqual(
      real.sessions().map(({ username, source, ended_wall }) => [username, source, ended_wall === null]),
      [
        ['alice', 'portal', false],
        ['alice', 'stale', true],
      ],
    );
  });

  test('fail mode open lets in everybody but whom the portal has just denied', limits, async () => {
    real.configure(`
      [resilience]
      fail_mode = "open"
      [resilience.cache]
      deny_ttl = "1ms"`);
    assertRefused(await real.connect('carol'));
    await real.portal.setPolicy(down);
    const from = real.log.count;

    assertConnected(await real.connect('bob'));
    assertRefused(await real.connect('carol'));
    assert.partialDeepStrictEqual(await real.decision('bob'), { source: 'fail-open', level: 'warn' });
    assert.partialDeepStrictEqual(await real.log.waitFor({ username: 'carol', allowed: false }, { from }), {
      source: 'stale',
      reason: 'on leave until Monday',
    });
    assert.deepEqual(
      real.sessions().map(({ username, source }) => [username, source]),
      [['bob', 'fail-open']],
    );
  });

  test('fail mode close lets in nobody, not even whom the portal let in before', limits, async () => {
    real.configure(`
      [resilience]
      fail_mode = "close"
      [resilience.cache]
      ttl = "1ms"`);
    const before = await real.connect('alice');
    assertConnected(before);
    await before.disconnect();
    await real.log.waitFor({ msg: 'disconnect recorded' });
    await real.portal.setPolicy(down);
    const from = real.log.count;

    assertRefused(await real.connect('alice'));
    assert.partialDeepStrictEqual(await real.log.waitFor({ username: 'alice', allowed: false }, { from }), {
      source: 'fail-close',
    });
    assert.equal(real.sessions().length, 1);
  });

  test('the breaker opens for all of them, and its trial call finds the portal back', limits, async () => {
    real.configure(`
      [resilience.circuit_breaker]
      failure_threshold = 2
      max_requests = 1
      timeout = "2s"`);
    await real.portal.setPolicy(down);
    for (const user of ['alice', 'bob']) assertRefused(await real.connect(user));
    const from = real.log.count;
    assertRefused(await real.connect('alice'));
    assert.partialDeepStrictEqual(await real.log.waitFor({ msg: 'connect denied' }, { from }), {
      breaker: 'open',
      portal_error: null,
    });

    await real.portal.setPolicy({ users });
    await halfOpen();
    assertConnected(await real.connect('alice'));
    assert.partialDeepStrictEqual(await real.log.waitFor({ msg: 'connect allowed' }), {
      source: 'portal',
      breaker: 'half-open',
    });
    assert.equal((await breaker()).state, 'closed');
  });

  async function breaker(): Promise<{ state: string }> {
    return JSON.parse((await real.command('breaker', 'status', '--json')).stdout);
  }

  /** Time alone changes that state, and nothing tells of it. */
  async function halfOpen(): Promise<void> {
    while ((await breaker()).state === 'open');
    assert.equal((await breaker()).state, 'half-open');
  }
});
