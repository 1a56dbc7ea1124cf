import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { decideInvalid } from '../../src/policy/decide.ts';
import type { Decision } from '../../src/policy/types.ts';
import { INITIAL, trip } from '../../src/resilience/circuit-breaker.ts';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import { loadContact } from '../../src/state/contact.ts';
import { count, total } from '../../src/state/counters.ts';
import { decisionCount, findDecision } from '../../src/state/decisions.ts';
import type { State } from '../../src/state/state.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { letPass, openState, scratch, settings } from './fixture.ts';
import { ALICE, ALLOW, AWAY, DENY, Server } from './portal.ts';

const UNAVAILABLE = { state: 'unavailable', ageSeconds: null };

async function server(t: TestContext, resilience: Record<string, unknown> = {}) {
  const path = join(scratch(t), 'state.db');
  const state = await openState(path, { patience: 0 });
  const other = new Database(path);
  t.after(() => other.close());
  return {
    it: new Server(state, settings({ resilience })),
    state,
    other,
    lock: () => other.exec('BEGIN IMMEDIATE'),
    unlock: () => other.exec('ROLLBACK'),
  };
}

function tripNow(state: State): Promise<void> {
  return state.step((tx) => {
    const before = loadBreaker(tx);
    saveBreaker(tx, before, trip(before, tx.now));
  });
}

describe('without a state', () => {
  test('the portal decides every connect', async () => {
    const it = new Server(null, settings());
    for (const portal of [ALLOW, DENY]) {
      const { allowed, source, cache, breaker } = await it.connect(portal);
      assert.deepEqual([allowed, source], [portal === ALLOW, 'portal']);
      assert.deepEqual([cache, breaker], [UNAVAILABLE, 'unavailable']);
    }
    assert.equal(it.asked, 2);
    assert.deepEqual(it.decisions, [], 'there is nothing to record in');
  });

  test('the fail mode decides when the portal is away, and no failure ever keeps it from being asked', async () => {
    for (const [fail_mode, allowed, source] of [
      ['open', true, 'fail-open'],
      ['close', false, 'fail-close'],
      ['stale', false, 'fail-close'],
    ] as const) {
      const it = new Server(null, settings({ resilience: { fail_mode } }));
      for (let n = 0; n < 5; n++) {
        const decision = await it.connect(AWAY);
        assert.deepEqual([decision.allowed, decision.source, decision.cache], [allowed, source, UNAVAILABLE]);
      }
      assert.equal(it.asked, 5);
    }
  });
});

describe('a state that is lost', () => {
  const ruin = (state: State) => state.step((tx) => tx.write('DROP TABLE decision'));

  test('before the decision leaves it to the portal, and is told once', async (t) => {
    const { it, state } = await server(t);
    await ruin(state);
    const { allowed, source, cache } = await it.connect(ALLOW);
    assert.deepEqual([allowed, source, cache], [true, 'portal', UNAVAILABLE]);
    assert.equal(it.lost.length, 1);
  });

  test('while the portal is asked leaves the answer as it is', async (t) => {
    const { it, state } = await server(t);
    const decision = await it.connect(async () => {
      await ruin(state);
      return DENY;
    });
    assert.deepEqual([decision.allowed, decision.source, decision.breaker], [false, 'portal', 'closed']);
    assert.equal(it.lost.length, 1);
    assert.deepEqual(it.decisions, []);
  });

  test('while the portal is asked in vain leaves what was read before to fall back on', async (t) => {
    const { it, state } = await server(t);
    await it.connect(ALLOW);
    await letPass(state, 600_000);
    const { allowed, source, routes } = await it.connect(async () => {
      await ruin(state);
      return AWAY;
    });
    assert.deepEqual([allowed, source, routes], [true, 'stale', ['10.0.0.0/8']]);
  });
});

describe('a row that a failing disk has changed, unseen by SQLite,', () => {
  const damages = {
    'the breaker': `UPDATE breaker SET state = '{"kind":'`,
    'the breaker, whose JSON is still JSON': `UPDATE breaker SET state = replace(state, 'openedAt', 'opendAt')`,
    'the breaker, whose state is none': `UPDATE breaker SET state = replace(state, '"open"', '"opan"')`,
    'a decision': `UPDATE decision SET routes = '["10.0.0.0/8'`,
  };
  for (const [row, sql] of Object.entries(damages)) {
    test(`leaves the decision to the portal: ${row}`, async (t) => {
      const { it, state, other } = await server(t);
      await it.connect(DENY);
      await letPass(state, 60_000);
      await tripNow(state);
      other.pragma('ignore_check_constraints = ON');
      assert.equal(other.prepare(sql).run().changes, 1);
      if (row === 'a decision') await state.step((tx) => saveBreaker(tx, loadBreaker(tx), INITIAL));
      const { allowed, source } = await it.connect(ALLOW);
      assert.deepEqual([allowed, source], [true, 'portal']);
    });
  }
});

describe('a state that can only be read', () => {
  test('still answers from a fresh decision, and says that it was not recorded', async (t) => {
    const { it, state, lock } = await server(t);
    await it.connect(ALLOW);
    lock();
    const { source, allowed } = await it.connect(DENY);
    assert.deepEqual([source, allowed], ['cache', true]);
    assert.match(state.unrecorded ?? '', /locked/);
  });

  test('still keeps an open breaker from asking, and still has a stale decision', async (t) => {
    const { it, state, lock } = await server(t);
    await it.connect(ALLOW);
    await letPass(state, 600_000);
    await tripNow(state);
    lock();
    const { source, allowed, breaker } = await it.connect(DENY);
    assert.deepEqual([source, allowed, breaker, it.asked], ['stale', true, 'open', 1]);
  });

  test('admits no trial: one that is not recorded could be one of any number', async (t) => {
    const { it, state, lock } = await server(t, { circuit_breaker: { max_requests: 1 } });
    await tripNow(state);
    await letPass(state, 60_000);
    lock();
    const { source, breaker } = await it.connect(ALLOW);
    assert.deepEqual([source, breaker, it.asked], ['fail-close', 'half-open', 0]);
  });

  test('asks the portal again once every trial that siblings may have begun is over', async (t) => {
    const { it, state, lock } = await server(t, { circuit_breaker: { max_requests: 1 } });
    await tripNow(state);
    await letPass(state, 64_000);
    lock();
    assert.equal((await it.connect(ALLOW)).source, 'portal');
  });

  test('until the portal has answered keeps a denial, and no allowance whose question it did not see', async (t) => {
    for (const [portal, kept] of [
      [ALLOW, undefined],
      [DENY, false],
    ] as const) {
      const { it, state, lock, unlock } = await server(t);
      lock();
      await it.connect(async () => {
        unlock();
        return portal;
      });
      assert.equal(state.unrecorded, null);
      assert.equal((await state.step((tx) => findDecision(tx, ALICE)))?.allowed, kept);
    }
  });
});

describe('the record of a decision', () => {
  test('is in the transaction of all that the decision changes', async (t) => {
    const { it } = await server(t);
    const seen: unknown[] = [];
    const record = (tx: Transaction, { source }: Decision): void => {
      seen.push([source, findDecision(tx, ALICE)?.allowed, total(tx, 'ocserv.cache.misses_total')]);
    };
    await it.connect(ALLOW, {}, { record });
    assert.deepEqual(seen, [['portal', true, 1]]);
  });

  test('that fails takes all of it back, and the fault is not hidden', async (t) => {
    const { it, state } = await server(t, { circuit_breaker: { failure_threshold: 1 } });
    const record = (tx: Transaction): void => {
      count(tx, 'ocserv.cache.hits_total');
      throw new Error('answered by the deadline');
    };
    for (const portal of [ALLOW, AWAY]) {
      await assert.rejects(it.connect(portal, {}, { record }), /answered by the deadline/);
    }
    assert.deepEqual(
      await state.step((tx) => [
        decisionCount(tx),
        total(tx, 'ocserv.cache.hits_total'),
        total(tx, 'ocserv.cache.misses_total'),
        loadBreaker(tx).kind,
        loadContact(tx),
      ]),
      [0, 0, 0, 'closed', { lastSuccessAt: null, lastError: null, lastErrorAt: null }],
    );
    assert.deepEqual(it.lost, []);
  });
});

describe('a value that is present but invalid', () => {
  test('is denied without the portal, recorded once, and counted', async (t) => {
    const { it } = await server(t, { fail_mode: 'open', emergency_users: ['alice'] });
    const decision = await decideInvalid('USERNAME is empty', it.means(ALLOW));
    assert.deepEqual(
      [decision.allowed, decision.source, decision.reason],
      [false, 'invalid', 'USERNAME is empty'],
    );
    assert.deepEqual([decision.cache, decision.breaker], [{ state: 'miss', ageSeconds: null }, 'closed']);
    assert.deepEqual(it.decisions, [decision]);
    assert.deepEqual([it.asked, await it.total('ocserv.cache.misses_total')], [0, 1]);
    assert.equal(await it.total('ocserv.circuit_breaker.requests_total'), 0);
  });

  test('is denied without a state too', async () => {
    const decision = await decideInvalid('USERNAME is empty', new Server(null, settings()).means(ALLOW));
    assert.deepEqual([decision.allowed, decision.source, decision.cache], [false, 'invalid', UNAVAILABLE]);
  });

  test('takes no trial place of a half-open breaker', async (t) => {
    const { it, state } = await server(t, { circuit_breaker: { max_requests: 1 } });
    await tripNow(state);
    await letPass(state, 60_000);
    assert.equal((await decideInvalid('USERNAME is empty', it.means(ALLOW))).breaker, 'half-open');
    assert.equal((await it.connect(ALLOW)).source, 'portal');
  });
});
