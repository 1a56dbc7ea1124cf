import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { decide } from '../../src/policy/decide.ts';
import { letPass, openState, scratch, settings } from './fixture.ts';
import { ALICE, ALLOW, AWAY, DENY, Server } from './portal.ts';

async function server(t: TestContext, resilience: Record<string, unknown> = {}) {
  const state = await openState(join(scratch(t), 'state.db'));
  const it = new Server(state, settings({ resilience }));
  return { it, state, pass: (milliseconds: number) => letPass(state, milliseconds) };
}

const MINUTE = 60_000;

describe('a connect', () => {
  test("is the portal's to decide the first time, with its routes and name servers", async (t) => {
    const { it } = await server(t);
    assert.deepEqual(await it.connect(ALLOW), {
      allowed: true,
      source: 'portal',
      reason: '',
      cache: { state: 'miss', ageSeconds: null },
      breaker: 'closed',
      portalError: null,
      routes: ['10.0.0.0/8'],
      dnsServers: ['10.0.0.53'],
      shouldDisconnect: false,
    });
    assert.equal(it.asked, 1);
  });

  test('is answered from the cache while the decision is fresh, without the portal', async (t) => {
    const { it, pass } = await server(t);
    await it.connect(ALLOW);
    await pass(5 * MINUTE - 10_000);
    const { source, allowed, cache, routes } = await it.connect(DENY);
    assert.deepEqual([source, allowed, cache.state, routes], ['cache', true, 'hit', ['10.0.0.0/8']]);
    assert.ok((cache.ageSeconds ?? 0) >= 290);
    assert.equal(it.asked, 1);
  });

  test('of one who was denied is denied from the cache, for deny_ttl', async (t) => {
    const { it, pass } = await server(t);
    await it.connect(DENY);
    const hit = await it.connect(ALLOW);
    assert.deepEqual([hit.source, hit.allowed, hit.cache.state], ['cache', false, 'hit']);
    assert.equal(hit.reason, 'account locked');
    await pass(30_000);
    assert.equal((await it.connect(ALLOW)).allowed, true);
  });

  test('asks the portal again once the decision is past its ttl, and keeps the new one', async (t) => {
    const { it, pass } = await server(t);
    await it.connect(ALLOW);
    await pass(5 * MINUTE);
    const second = await it.connect(DENY);
    assert.deepEqual([second.source, second.allowed, second.cache.state], ['portal', false, 'miss']);
    assert.equal((await it.connect(ALLOW)).source, 'cache');
  });

  test('makes its decision the most recently used: it outlives others when the cache is full', async (t) => {
    const { it } = await server(t, { cache: { max_size: 2 } });
    for (const username of ['alice', 'bob', 'alice', 'carol']) await it.connect(ALLOW, { username });
    assert.equal((await it.connect(AWAY)).source, 'cache');
    assert.equal((await it.connect(AWAY, { username: 'bob' })).source, 'fail-close');
  });

  test('from another address, for another group or vhost, or by another user is another decision', async (t) => {
    const { it } = await server(t);
    await it.connect(ALLOW);
    for (const other of [{ clientIp: '::1' }, { groupname: '' }, { vhost: 'b' }, { username: 'bob' }]) {
      assert.equal((await it.connect(DENY, other)).source, 'portal', JSON.stringify(other));
    }
    assert.equal((await it.connect(DENY, { vpnIp: '::2', device: 'x', sessionId: 'y' })).source, 'cache');
  });

  test('that passes over the cache asks the portal, keeps its answer, and still falls back on what is kept', async (t) => {
    const { it } = await server(t);
    await it.connect(ALLOW);
    const denied = await it.connect(DENY, {}, { bypassCache: true });
    assert.deepEqual([denied.source, denied.allowed, denied.cache.state], ['portal', false, 'bypass']);
    assert.equal((await it.connect(ALLOW)).allowed, false);
    const stale = await it.connect(AWAY, {}, { bypassCache: true });
    assert.deepEqual([stale.source, stale.cache.state], ['stale', 'stale']);
    const nothing = await it.connect(AWAY, { username: 'bob' }, { bypassCache: true });
    assert.deepEqual([nothing.source, nothing.cache.state], ['fail-close', 'bypass']);
  });
});

describe('while the portal is away', () => {
  test('fail mode stale lets in whom the portal let in less than stale_ttl ago', async (t) => {
    const { it, pass } = await server(t);
    await it.connect(ALLOW);
    await pass(30 * MINUTE - 10_000);
    const { decision, failure } = await it.decided(AWAY);
    assert.deepEqual([decision.allowed, decision.source, decision.cache.state], [true, 'stale', 'stale']);
    assert.deepEqual(decision.routes, ['10.0.0.0/8']);
    assert.equal(decision.portalError, 'UNAVAILABLE: connection refused');
    assert.equal(failure?.code, 'UNAVAILABLE');
  });

  test('fail mode stale denies whom it has nothing, or nothing that young, of', async (t) => {
    const { it, pass } = await server(t);
    await it.connect(ALLOW);
    await pass(30 * MINUTE);
    for (const username of ['alice', 'bob']) {
      const { allowed, source, cache } = await it.connect(AWAY, { username });
      assert.deepEqual([allowed, source, cache], [false, 'fail-close', { state: 'miss', ageSeconds: null }]);
    }
  });

  test('fail mode open lets in everybody but whom a usable entry denies', async (t) => {
    const { it, pass } = await server(t, { fail_mode: 'open' });
    await it.connect(DENY);
    await pass(MINUTE);
    const refused = await it.connect(AWAY);
    assert.deepEqual([refused.allowed, refused.source, refused.reason], [false, 'stale', 'account locked']);
    assert.equal((await it.connect(AWAY, { username: 'bob' })).source, 'fail-open');
    await pass(30 * MINUTE);
    assert.deepEqual(await it.connect(AWAY).then(({ allowed, source }) => [allowed, source]), [
      true,
      'fail-open',
    ]);
  });

  test('fail mode close lets in nobody by an entry that is past its ttl', async (t) => {
    const { it, pass } = await server(t, { fail_mode: 'close' });
    await it.connect(ALLOW);
    await pass(5 * MINUTE);
    assert.deepEqual(
      await it.connect(AWAY).then(({ allowed, source, routes }) => [allowed, source, routes]),
      [false, 'fail-close', []],
    );
  });

  test('emergency users get in by every fail mode, and by nothing else', async (t) => {
    for (const fail_mode of ['open', 'close', 'stale']) {
      const { it } = await server(t, { fail_mode, emergency_users: ['root', 'alice'] });
      assert.equal((await it.connect(DENY)).allowed, false);
      const { allowed, source } = await it.connect(AWAY, { clientIp: '::9' });
      assert.deepEqual([allowed, source], [true, 'emergency'], fail_mode);
    }
  });

  test('a denial that the portal has just given stands for an emergency user while it is fresh', async (t) => {
    const { it } = await server(t, { emergency_users: ['alice'] });
    await it.connect(DENY);
    assert.deepEqual(await it.connect(AWAY).then(({ allowed, source }) => [allowed, source]), [
      false,
      'cache',
    ]);
  });
});

describe('the counters', () => {
  test("follow the decision's cache state, one of them a decision at most", async (t) => {
    const { it, pass } = await server(t);
    const counted = async () => [
      await it.total('ocserv.cache.hits_total'),
      await it.total('ocserv.cache.misses_total'),
      await it.total('ocserv.cache.stale_hits_total'),
    ];
    await it.connect(DENY, { username: 'bob' });
    assert.deepEqual(await counted(), [0, 1, 0]);
    await it.connect(DENY, { username: 'bob' });
    assert.deepEqual(await counted(), [1, 1, 0]);
    await it.connect(ALLOW);
    await pass(10 * MINUTE);
    await it.connect(AWAY);
    assert.deepEqual(await counted(), [1, 2, 1]);
    await it.connect(AWAY, { username: 'carol' });
    assert.deepEqual(await counted(), [1, 3, 1]);
    await it.connect(ALLOW, {}, { bypassCache: true });
    assert.deepEqual(await counted(), [1, 3, 1]);
  });
});

test('the decision stands before its transaction: a deadline in between answers with the same', async (t) => {
  const { it } = await server(t);
  const decision = await it.connect(ALLOW);
  assert.equal(it.provisional[0]?.source, 'fail-close', 'while the portal is asked: the fail mode');
  assert.deepEqual(it.provisional.slice(1), [decision]);
  await it.connect(ALLOW);
  assert.equal(it.provisional.length, 2, 'a cached decision needs none');
});

test('what else belongs to a decision is recorded exactly once, with the decision that is returned', async (t) => {
  const { it } = await server(t);
  const returned = [
    await it.connect(ALLOW),
    await it.connect(ALLOW),
    await it.connect(AWAY, { username: 'bob' }),
    (await decide(ALICE, it.means(DENY, { bypassCache: true }))).decision,
  ];
  assert.deepEqual(it.decisions, returned);
});
