import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { breakerRules } from '../../src/policy/rules.ts';
import type { PortalResult } from '../../src/policy/types.ts';
import { trip } from '../../src/resilience/circuit-breaker.ts';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import { letPass, openState, scratch, settings } from './fixture.ts';
import { ALLOW, AWAY, answer, DENY, failure, PROVOKED, Server } from './portal.ts';

const TIMEOUT = 60_000;
/** portal.timeout and a second. */
const LEASE = 4_000;

async function server(t: TestContext, circuit_breaker: Record<string, unknown> = {}) {
  const state = await openState(join(scratch(t), 'state.db'));
  const config = settings({ resilience: { circuit_breaker, cache: { ttl: '1m', deny_ttl: '0s' } } });
  const it = new Server(state, config);
  let newcomers = 0;
  return {
    it,
    pass: (milliseconds: number) => letPass(state, milliseconds),
    /** Somebody whom nothing is known of. */
    newcomer: (portal: PortalResult | (() => Promise<PortalResult>)) =>
      it.connect(portal, { username: `user-${newcomers++}` }),
    breaker: () => state.step((tx) => loadBreaker(tx)),
    trip: () =>
      state.step((tx) => {
        const before = loadBreaker(tx);
        saveBreaker(tx, before, trip(before, tx.now));
      }),
    counted: (name: string) =>
      state.step((tx) =>
        Object.fromEntries(
          tx
            .rows<{ attributes: string; value: number }>(
              'SELECT attributes, value FROM counter WHERE name = ?',
              `ocserv.circuit_breaker.${name}`,
            )
            .map(({ attributes, value }) => [JSON.parse(attributes).state, value]),
        ),
      ),
  };
}

/** The portal is asked, and answers when the test says so. */
function held(): { portal: () => Promise<PortalResult>; answer: (result: PortalResult) => void } {
  let release: (result: PortalResult) => void = () => {};
  const result = new Promise<PortalResult>((resolve) => {
    release = resolve;
  });
  return { portal: () => result, answer: (what) => release(what) };
}

describe('the breaker', () => {
  test('opens at as many failures in a row as the threshold, and then the portal is not asked', async (t) => {
    const { it, newcomer } = await server(t);
    for (let n = 0; n < 3; n++) assert.equal((await newcomer(AWAY)).breaker, 'closed');
    const refused = await newcomer(ALLOW);
    assert.equal(it.asked, 3);
    assert.deepEqual([refused.allowed, refused.source, refused.breaker], [false, 'fail-close', 'open']);
    assert.equal(refused.portalError, null);
    assert.match(refused.reason, /circuit breaker is open/);
  });

  test('starts its count over when the portal answers, a refusal of the request included', async (t) => {
    for (const answered of [ALLOW, DENY, answer(false, { storable: false })]) {
      const { breaker, newcomer } = await server(t);
      for (const portal of [AWAY, AWAY, answered, AWAY, AWAY]) await newcomer(portal);
      assert.equal((await breaker()).kind, 'closed');
    }
  });

  test('does not stand between a user and a fresh decision', async (t) => {
    const { it, trip, counted } = await server(t);
    await it.connect(ALLOW);
    await trip();
    const hit = await it.connect(DENY);
    assert.deepEqual([hit.source, hit.allowed, hit.breaker], ['cache', true, 'open']);
    assert.deepEqual(await counted('requests_total'), { closed: 1 });
  });

  test('lets a stale decision answer while it is open, by the fail mode', async (t) => {
    const { it, pass, trip } = await server(t);
    await it.connect(ALLOW);
    await pass(TIMEOUT);
    await trip();
    const stale = await it.connect(DENY);
    assert.deepEqual([stale.source, stale.allowed, stale.breaker], ['stale', true, 'open']);
    assert.equal(it.asked, 1);
  });

  test('counts what asked it for admission by its state, and what it counted as failures', async (t) => {
    const { newcomer, pass, counted } = await server(t);
    for (const portal of [ALLOW, AWAY, failure('no'), AWAY, AWAY, ALLOW]) await newcomer(portal);
    await pass(TIMEOUT);
    await newcomer(AWAY);
    assert.deepEqual(await counted('requests_total'), { closed: 5, open: 1, 'half-open': 1 });
    assert.deepEqual(await counted('failures_total'), { closed: 3, 'half-open': 1 });
  });
});

describe('what counts', () => {
  test('a local fault and a status that says nothing about the portal do not', async (t) => {
    const { breaker, newcomer } = await server(t, { failure_threshold: 1 });
    for (const code of ['LOCAL', 'UNAUTHENTICATED', 'DEADLINE_EXCEEDED']) await newcomer(failure('no', code));
    assert.equal((await breaker()).kind, 'closed');
  });

  test('not reaching the portal does, every time, whoever tried', async (t) => {
    const { it, breaker } = await server(t);
    for (let n = 0; n < 3; n++) await it.connect(AWAY);
    assert.equal((await breaker()).kind, 'open');
  });

  test('a failure that a request could have provoked does once a user in an interval', async (t) => {
    const { it, breaker } = await server(t);
    for (let n = 0; n < 10; n++) await it.connect(PROVOKED, { clientIp: `::${n}` });
    const state = await breaker();
    assert.deepEqual([state.kind, state.failures], ['closed', 1]);
    await it.connect(PROVOKED, { username: 'bob' });
    await it.connect(PROVOKED, { username: 'carol' });
    assert.equal((await breaker()).kind, 'open');
  });

  test('the same user does again after the interval', async (t) => {
    const { it, breaker, pass } = await server(t, { failure_threshold: 1, timeout: '1s' });
    await it.connect(PROVOKED);
    await pass(29_000);
    await it.connect(PROVOKED);
    assert.equal((await breaker()).kind, 'half-open');
    await pass(1_000);
    await it.connect(PROVOKED);
    assert.equal((await breaker()).kind, 'open');
  });

  test('a failure that comes when the breaker has already changed does not, nor is it held against the user', async (t) => {
    const { it, newcomer, pass, breaker, counted } = await server(t);
    const slow = held();
    const late = it.connect(slow.portal);
    for (let n = 0; n < 3; n++) await newcomer(AWAY);
    slow.answer(PROVOKED);
    assert.equal((await late).source, 'fail-close');
    assert.deepEqual(await counted('failures_total'), { closed: 3 });
    await pass(TIMEOUT);
    await it.connect(PROVOKED);
    assert.equal((await breaker()).kind, 'open', 'his first failure that counts opens it again');
  });

  test('a failure that comes after its trial lost its place does not, nor is it held against the user', async (t) => {
    const { it, pass, breaker, trip, counted } = await server(t);
    await trip();
    await pass(TIMEOUT);
    await it.connect(async () => {
      await pass(LEASE);
      return PROVOKED;
    });
    assert.equal((await breaker()).kind, 'half-open');
    assert.deepEqual(await counted('failures_total'), {});
    await it.connect(PROVOKED);
    assert.equal((await breaker()).kind, 'open', 'his first failure that counts opens it again');
  });
});

describe('while half-open', () => {
  test('only max_requests calls are out at once, and all others are answered by the fail mode', async (t) => {
    const { it, newcomer, pass, trip, breaker } = await server(t, { max_requests: 2 });
    await trip();
    await pass(TIMEOUT);
    const first = held();
    const trials = [newcomer(first.portal), newcomer(first.portal)];
    const refused = await newcomer(ALLOW);
    assert.equal(it.asked, 2);
    assert.deepEqual([refused.source, refused.breaker], ['fail-close', 'half-open']);
    first.answer(ALLOW);
    for (const decision of await Promise.all(trials)) {
      assert.deepEqual([decision.source, decision.breaker], ['portal', 'half-open']);
    }
    assert.equal((await breaker()).kind, 'closed');
  });

  test('a trial whose process died gives its place back after portal.timeout and a second', async (t) => {
    const { it, newcomer, pass, trip } = await server(t, { max_requests: 1 });
    await trip();
    await pass(TIMEOUT);
    void newcomer(() => new Promise(() => {}));
    await newcomer(ALLOW);
    await pass(LEASE - 2_000);
    assert.equal(await it.askedDuring(() => newcomer(ALLOW)), 0);
    await pass(2_000);
    assert.equal(await it.askedDuring(() => newcomer(ALLOW)), 1);
  });

  test('that lease is longer than any call can take', () => {
    assert.equal(breakerRules(settings()).trialLease, LEASE);
    assert.equal(breakerRules(settings({ portal: { address: 'a:1', timeout: '5s' } })).trialLease, 6_000);
  });

  test('a fresh decision takes no trial place', async (t) => {
    const { it, newcomer, pass, trip } = await server(t, { max_requests: 1, timeout: '1s' });
    await it.connect(ALLOW);
    await trip();
    await pass(1_000);
    for (let n = 0; n < 5; n++) assert.equal((await it.connect(DENY)).source, 'cache');
    assert.equal(await it.askedDuring(() => newcomer(ALLOW)), 1);
  });
});
