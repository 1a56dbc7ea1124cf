import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { milliseconds } from '../../src/state/clock.ts';
import { keepDecision, revoke } from '../../src/state/decisions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { wake } from '../../src/state/wake.ts';
import { HOUR, led, summary } from './led.ts';
import { ALICE, ALLOW, AWAY, answer, DENY, failure, PROVOKED } from './portal.ts';
import { dead } from './siblings.ts';

describe('a hook while a sibling leads', () => {
  test('asks nobody but the sibling, and has its own decision by the answer', async (t) => {
    const { it, connect, answerAll, rows, kept, leader, sibling } = await led(t);
    const hooks = ['alice', 'bob', 'carol'].map((name) => connect(failure('no'), name));
    assert.equal((await rows()).length, 3);
    await answerAll((name) => answer(name !== 'bob', { reason: `for ${name}` }));
    const decided = await Promise.all(hooks);
    assert.deepEqual(
      decided.map(({ decision }) => [...summary(decision), decision.reason]),
      [
        [true, 'portal', 'closed', ''],
        [false, 'portal', 'closed', 'for bob'],
        [true, 'portal', 'closed', ''],
      ].map(([allowed, source, breaker, reason], i) => [
        allowed,
        source,
        breaker,
        // As the portal's words, whatever it allowed.
        i === 1 ? reason : `for ${['alice', 'bob', 'carol'][i]}`,
      ]),
    );
    for (const { leads: goesOn, failure: failed } of decided)
      assert.deepEqual([goesOn, failed], [null, null]);
    assert.equal(it.asked, 0);
    assert.deepEqual(await rows(), [], 'nothing is left');
    assert.deepEqual((await kept()).sort(), [
      ['alice', true],
      ['bob', false],
      ['carol', true],
    ]);
    assert.equal((await leader()).pid, sibling.pid);
  });

  test('says meanwhile what the fail mode would answer', async (t) => {
    const { it, connect, answerAll } = await led(t, { fail_mode: 'open' });
    const hook = connect(ALLOW);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(it.provisional.map(summary), [[true, 'fail-open', 'closed']]);
    await answerAll(() => DENY);
    await hook;
    assert.deepEqual(it.provisional.map(summary).at(-1), [false, 'portal', 'closed']);
  });

  test('counts a call once, and its admission once, however often it looked', async (t) => {
    const { state, connect, answerAll, vanish, counted, it } = await led(t);
    const call = { rpc: 'CheckPolicy', code: 'OK', seconds: 0.25 };
    const hook = connect(ALLOW);
    await answerAll(() => ({ ...ALLOW, call }));
    await hook;
    const calls = () =>
      state.step(
        (tx) =>
          tx.row<{ calls: number }>(
            `SELECT sum(bucket.value) AS calls FROM histogram, json_each(buckets) AS bucket
             WHERE name = 'ocserv.portal.call.duration'`,
          )?.calls,
      );
    assert.equal(await calls(), 1);
    assert.equal(await counted('ocserv.circuit_breaker.requests_total'), 1);
    const second = connect({ ...ALLOW, call }, 'bob');
    await vanish();
    await second;
    assert.equal(it.asked, 1);
    assert.equal(await calls(), 2);
    assert.equal(await counted('ocserv.circuit_breaker.requests_total'), 2);
    assert.equal(await counted('ocserv.cache.misses_total'), 2);
  });

  for (const [how, change] of [
    ['died', (tx: Transaction) => tx.write('UPDATE leader SET pid = ?', dead())],
    ['gave the lead back', (tx: Transaction) => tx.write('UPDATE leader SET pid = 0')],
    ['had its own id', (tx: Transaction) => tx.write('UPDATE leader SET pid = ?', process.pid)],
  ] as const) {
    test(`takes the lead itself when the sibling ${how}, and asks for itself`, async (t) => {
      const { state, connect, rows, leader } = await led(t);
      let term: number | null = null;
      let open: unknown;
      const hook = connect(failure('no'), 'alice', {
        askPortal: async (_, under) => {
          term = under;
          open = await rows();
          return DENY;
        },
      });
      await state.step(change);
      assert.deepEqual(summary((await hook).decision), [false, 'portal', 'closed']);
      assert.equal(term, 2);
      assert.deepEqual(open, [], 'nobody else asks for it');
      assert.equal((await leader()).pid, 0);
    });
  }

  test('asks by itself when it may not lead', async (t) => {
    const { connect, vanish, leader, rows } = await led(t);
    let term: number | null = 0;
    const hook = connect(ALLOW, 'alice', {
      mayLead: 'no',
      askPortal: async (_, under) => {
        term = under;
        return ALLOW;
      },
    });
    const before = await vanish();
    assert.equal(before, 1);
    assert.equal((await hook).decision.source, 'portal');
    assert.equal(term, null);
    assert.equal((await leader()).term, 1, 'it took no lead');
    assert.deepEqual(await rows(), []);
  });

  for (const fraction of [0.001, 0.5, 0.999]) {
    test(`asks by itself beside a sibling that is too slow, who does not ask for it any more (${fraction} ms)`, async (t) => {
      const { connect, script, rows, leader, sibling } = await led(t);
      // The deadline is no whole millisecond, and the state's clock counts whole ones.
      const takenBy = Math.floor(milliseconds()) + 500 + fraction;
      let meanwhile: unknown;
      const hook = connect(ALLOW, 'alice', {
        waitLimits: { takenBy, answeredBy: takenBy + HOUR },
        askPortal: async (_, term) => {
          meanwhile = [term, (await rows()).map(({ taken }) => taken)];
          return ALLOW;
        },
      });
      let looks = 0;
      script.each = () => {
        if (milliseconds() > takenBy && ++looks > 5) throw new Error('it looks on, and goes not alone');
      };
      assert.equal((await hook).decision.source, 'portal');
      assert.deepEqual(meanwhile, [null, [-1]]);
      script.each = () => {};
      assert.deepEqual(await rows(), []);
      assert.equal((await leader()).pid, sibling.pid);
    });
  }

  test('asks anew, under a number of its own, when it goes alone after all', async (t) => {
    const { state, connect, limits, kept } = await led(t);
    const hook = connect(ALLOW, 'alice', { waitLimits: limits(600, 3_000) });
    await state.step((tx) => revoke(tx, 'alice'));
    assert.equal((await hook).decision.allowed, true);
    assert.deepEqual(await kept(), [['alice', true]], 'it was asked after the revocation');
  });
});

describe('what a sibling hears of the portal', () => {
  test('is as old as the question: a revocation since then voids it', async (t) => {
    const { state, connect, answerAll, kept } = await led(t);
    const hook = connect(ALLOW);
    await state.step((tx) => revoke(tx, 'alice'));
    await answerAll(() => ALLOW);
    assert.equal((await hook).decision.allowed, true, 'it was the answer');
    assert.deepEqual(await kept(), [], 'and it is not kept');
  });

  test('is as old as the question also when another sibling has taken the lead meanwhile', async (t) => {
    const { state, connect, answerAll, kept, script, sibling, rows } = await led(t);
    const hook = connect(ALLOW);
    const [first] = await rows();
    await state.step((tx) => revoke(tx, 'alice'));
    // One look finds nobody who leads, and the next step somebody again.
    let looks = 0;
    script.each = (tx) => {
      looks++;
      tx.write('UPDATE leader SET pid = ?', looks === 1 ? 0 : sibling.pid);
    };
    while (looks < 2) {
      wake(process.pid);
      await new Promise((resolve) => setImmediate(resolve));
    }
    script.each = () => {};
    assert.deepEqual(
      (await rows()).map(({ number }) => number),
      [first?.number],
      'it waits with the same question',
    );
    await answerAll(() => ALLOW);
    await hook;
    assert.deepEqual(await kept(), []);
  });

  test('does not replace what was asked for later', async (t) => {
    const { state, connect, answerAll, kept, it } = await led(t);
    const hook = connect(ALLOW);
    await state.step((tx) => {
      const later = { allowed: false, reason: 'locked', routes: [], dnsServers: [], cacheTtl: null };
      keepDecision(tx, ALICE, { ...later, asked: nextInSequence(tx) }, 100);
    });
    await answerAll(() => ALLOW);
    assert.equal((await hook).decision.allowed, true);
    assert.deepEqual(await kept(), [['alice', false]]);
    assert.deepEqual(summary((await connect(ALLOW)).decision), [false, 'cache', 'closed']);
    assert.equal(it.asked, 0);
  });

  test('is kept as if it had asked itself: the next one is answered from the cache', async (t) => {
    const { connect, answerAll } = await led(t);
    const hook = connect(ALLOW);
    await answerAll(() => DENY);
    await hook;
    assert.deepEqual(summary((await connect(ALLOW)).decision), [false, 'cache', 'closed']);
  });

  test('that ends all sessions of the user drops what he was allowed, and is told of', async (t) => {
    const { connect, answerAll, kept } = await led(t, { cache: { ttl: '0s' } });
    const first = connect(ALLOW);
    await answerAll(() => ALLOW);
    await first;
    assert.deepEqual(await kept(), [['alice', true]]);
    const second = connect(ALLOW);
    await answerAll(() => answer(false, { shouldDisconnect: true }));
    assert.equal((await second).decision.shouldDisconnect, true);
    assert.deepEqual(await kept(), [['alice', false]]);
  });

  test('when it failed is decided by the fail mode, and each failure counts once', async (t) => {
    const { connect, answerAll, breaker, counted, it } = await led(t, {
      circuit_breaker: { failure_threshold: 3 },
    });
    for (const [n, name] of ['alice', 'bob'].entries()) {
      const hook = connect(ALLOW, name);
      await answerAll(() => AWAY);
      const { decision, failure: why } = await hook;
      assert.deepEqual(summary(decision), [false, 'fail-close', 'closed']);
      assert.equal(why?.code, 'UNAVAILABLE');
      assert.equal((await breaker()).failures, n + 1);
      assert.equal(await counted('ocserv.circuit_breaker.failures_total'), n + 1);
    }
    const third = connect(ALLOW, 'carol');
    await answerAll(() => AWAY);
    await third;
    assert.equal((await breaker()).kind, 'open');
    assert.deepEqual(summary((await connect(ALLOW, 'dave')).decision), [false, 'fail-close', 'open']);
    assert.equal(it.asked, 0);
  });

  test('of many that failed at once opens the breaker once, and the rest are late', async (t) => {
    const { connect, answerAll, breaker, counted } = await led(t);
    const hooks = Array.from({ length: 12 }, (_, i) => connect(ALLOW, `user-${i}`));
    await answerAll(() => AWAY);
    for (const { decision } of await Promise.all(hooks)) assert.equal(decision.source, 'fail-close');
    assert.partialDeepStrictEqual(await breaker(), { kind: 'open', generation: 1, failures: 3 });
    assert.equal(await counted('ocserv.circuit_breaker.failures_total'), 3);
  });

  test('is blamed on its own user, where a request could have provoked it', async (t) => {
    const { connect, answerAll, breaker } = await led(t);
    for (let n = 0; n < 5; n++) {
      const hook = connect(ALLOW, 'mallory');
      await answerAll(() => PROVOKED);
      await hook;
    }
    assert.partialDeepStrictEqual(await breaker(), { kind: 'closed', failures: 1 });
  });

  test('starts the count of failures over', async (t) => {
    const { connect, answerAll, breaker } = await led(t);
    for (const [result, failures] of [
      [AWAY, 1],
      [AWAY, 2],
      [DENY, 0],
    ] as const) {
      const hook = connect(ALLOW, `user-${failures}`);
      await answerAll(() => result);
      await hook;
      assert.equal((await breaker()).failures, failures);
    }
  });
});
