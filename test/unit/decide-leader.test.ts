import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Means } from '../../src/policy/means.ts';
import type { Decision, PortalResult } from '../../src/policy/types.ts';
import { trip } from '../../src/resilience/circuit-breaker.ts';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import { milliseconds } from '../../src/state/clock.ts';
import { keepDecision, listDecisions, revoke } from '../../src/state/decisions.ts';
import { answer as answerQuestion } from '../../src/state/questions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { wake } from '../../src/state/wake.ts';
import { letPass, openState, scratch, settings } from './fixture.ts';
import { ALICE, ALLOW, AWAY, answer, DENY, failure, PROVOKED, Server } from './portal.ts';
import { asks, dead, keepAlive, leaderRow, leads, questionRows, stranger } from './siblings.ts';

const HOUR = 3_600_000;
/** More looks than any test needs: who looks so often never sleeps. */
const TOO_MANY = 2_000;

/** A state on which a sibling leads, as long as the test says so; what it answers the test writes. */
async function led(t: TestContext, resilience: Record<string, unknown> = {}, leading = true) {
  const state = await openState(join(scratch(t), 'state.db'));
  const sibling = stranger(t);
  const script: { each: (tx: Transaction) => void; uses: number } = { each: () => {}, uses: 0 };
  if (leading) await state.step((tx) => leads(tx, sibling.pid));
  const step = state.step.bind(state);
  keepAlive(state, (tx) => {
    if (++script.uses > TOO_MANY) throw new Error('it looks again and again, and sleeps never');
    script.each(tx);
  });
  const it = new Server(state, settings({ resilience }));
  const limits = (takenBy = HOUR, answeredBy = HOUR) => ({
    takenBy: milliseconds() + takenBy,
    answeredBy: milliseconds() + answeredBy,
  });
  return {
    it,
    state,
    sibling,
    script,
    limits,
    /** A hook that waits: what it would be answered by a call of its own is `own`. */
    connect: (own: PortalResult, username = 'alice', rest: Partial<Means> = {}) =>
      it.decided(own, { username }, { waitLimits: limits(), mayLead: 'afterwards', ...rest }),
    rows: () => state.step(questionRows),
    leader: () => state.step(leaderRow),
    /** The leader answers all that wait, each by its name. */
    answerAll: async (say: (username: string) => PortalResult) => {
      await state.step((tx) => {
        for (const row of tx.rows<{ number: number; pid: number; request: string }>(
          'SELECT * FROM question WHERE answer IS NULL',
        )) {
          const { username } = JSON.parse(row.request) as { username: string };
          assert.equal(answerQuestion(tx, row, JSON.stringify(say(username))), true);
        }
      });
      wake(process.pid);
    },
    /** Until somebody waits for an answer. */
    open: async () => {
      while (!(await step(questionRows)).some((row) => row.answer === null)) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    vanish: () => state.step((tx) => tx.write('UPDATE leader SET pid = ?', dead())),
    kept: () =>
      state.step((tx) => listDecisions(tx, null, 100).map(({ username, allowed }) => [username, allowed])),
    trip: () =>
      state.step((tx) => {
        const before = loadBreaker(tx);
        saveBreaker(tx, before, trip(before, tx.now));
      }),
    breaker: () => state.step(loadBreaker),
    counted: (name: string) =>
      state.step(
        (tx) =>
          tx.row<{ sum: number | null }>('SELECT sum(value) AS sum FROM counter WHERE name = ?', name)?.sum ??
          0,
      ),
  };
}

const summary = ({ allowed, source, breaker }: Decision) => [allowed, source, breaker];

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

describe('what happens while a hook waits', () => {
  test('a breaker that opened answers it once it looks, and it asks nobody', async (t) => {
    const { it, connect, trip: open, vanish, rows, leader } = await led(t);
    const hook = connect(ALLOW);
    await open();
    await vanish();
    assert.deepEqual(summary((await hook).decision), [false, 'fail-close', 'open']);
    assert.equal(it.asked, 0);
    assert.deepEqual(await rows(), []);
    assert.equal((await leader()).term, 1, 'nor does it lead');
  });

  test('a fresh decision of a sibling answers it once it looks', async (t) => {
    const { it, state, connect, vanish, rows } = await led(t);
    const hook = connect(ALLOW);
    await state.step((tx) => {
      const kept = { allowed: false, reason: 'locked', routes: [], dnsServers: [], cacheTtl: null };
      keepDecision(tx, ALICE, { ...kept, asked: nextInSequence(tx) }, 100);
    });
    await vanish();
    assert.deepEqual(summary((await hook).decision), [false, 'cache', 'closed']);
    assert.equal(it.asked, 0);
    assert.deepEqual(await rows(), []);
  });

  test('a breaker that has closed anew since makes its failure one of before', async (t) => {
    const {
      state,
      connect,
      answerAll,
      breaker,
      trip: open,
    } = await led(t, {
      circuit_breaker: { failure_threshold: 1 },
    });
    const hook = connect(ALLOW);
    await open();
    await state.step((tx) => {
      const before = loadBreaker(tx);
      saveBreaker(tx, before, {
        kind: 'closed',
        generation: before.generation + 1,
        failures: 0,
        firstFailure: null,
      });
    });
    await answerAll(() => AWAY);
    await hook;
    assert.equal((await breaker()).kind, 'closed');
  });

  test('a half-open breaker’s trial is called by itself, and nobody asks for it besides', async (t) => {
    const {
      state,
      connect,
      trip: open,
      vanish,
      rows,
      leader,
      it,
    } = await led(t, {
      circuit_breaker: { timeout: '1s' },
    });
    const hook = connect(ALLOW, 'alice', {
      askPortal: async (_, term) => {
        it.asked++;
        assert.equal(term, null);
        assert.deepEqual(
          (await rows()).filter(({ taken }) => taken >= 0),
          [],
          'a sibling would ask once more than the breaker allows',
        );
        return ALLOW;
      },
    });
    await open();
    await letPass(state, 1_000);
    await vanish();
    assert.deepEqual(summary((await hook).decision), [true, 'portal', 'half-open']);
    assert.equal(it.asked, 1);
    assert.deepEqual(await rows(), []);
    assert.equal((await leader()).term, 1);
  });

  test('a state that is lost makes it ask by itself', async (t) => {
    const { state, it, connect } = await led(t);
    const hook = connect(DENY);
    await state.step((tx) => {
      tx.write('DELETE FROM leader');
    });
    assert.deepEqual(summary((await hook).decision), [false, 'portal', 'closed']);
    assert.equal(it.asked, 1);
    assert.equal(it.lost.length, 1);
  });

  for (const [fail_mode, keptAllowed, expected] of [
    ['open', false, [false, 'stale', 'closed']],
    ['open', null, [true, 'fail-open', 'closed']],
    ['stale', true, [true, 'stale', 'closed']],
    ['stale', false, [false, 'stale', 'closed']],
    ['stale', null, [false, 'fail-close', 'closed']],
    ['close', true, [false, 'fail-close', 'closed']],
  ] as const) {
    for (const lost of ['leader', 'decision', 'question', 'breaker'] as const) {
      test(`a state that is lost forgets not what was seen of it: ${keptAllowed}, ${fail_mode}, ${lost}`, async (t) => {
        const { state, it, connect } = await led(t, { fail_mode, cache: { ttl: '1s', deny_ttl: '1s' } });
        if (keptAllowed !== null) {
          await state.step((tx) => {
            const kept = {
              allowed: keptAllowed,
              reason: 'locked',
              routes: [],
              dnsServers: [],
              cacheTtl: null,
            };
            keepDecision(tx, ALICE, { ...kept, asked: nextInSequence(tx) }, 100);
          });
          await letPass(state, 5_000);
        }
        const hook = connect(AWAY);
        await state.step((tx) => {
          tx.write('UPDATE leader SET pid = 0');
          tx.write(`DROP TABLE ${lost}`);
        });
        const { decision, failure: why, leads: goesOn } = await hook;
        assert.deepEqual(summary(decision), expected);
        assert.equal(why?.code, 'UNAVAILABLE');
        assert.equal(it.asked, 1);
        assert.equal(goesOn, null);
        assert.deepEqual(it.decisions, [], 'nothing is recorded');
        for (const provisional of it.provisional) assert.equal(provisional.allowed, expected[0]);
      });
    }
  }
});

describe('a row that no sibling has written', () => {
  const ROWS = ['{}', 'null', '[]', '"allowed"', '{"answer":true}', '{"answer":{"allowed":true}}'];

  for (const text of ROWS) {
    test(`lets nobody in, and keeps nobody: ${text}`, async (t) => {
      const { state, connect, kept, open, answerAll } = await led(t);
      const hook = connect(DENY);
      await state.step((tx) => tx.write('UPDATE question SET answer = ?', text));
      wake(process.pid);
      // It is told of it no more, and asks anew.
      await open();
      await answerAll(() => DENY);
      assert.deepEqual(summary((await hook).decision), [false, 'portal', 'closed']);
      assert.deepEqual(await kept(), [['alice', false]]);
    });
  }

  test('lets nobody in though it is the answer to another process', async (t) => {
    const { state, connect, vanish, sibling } = await led(t);
    const hook = connect(DENY);
    await state.step((tx) => {
      asks(tx, sibling.pid, { request: JSON.stringify(ALICE), answer: JSON.stringify(ALLOW) });
      asks(tx, process.pid, { request: JSON.stringify(ALICE), answer: JSON.stringify(ALLOW) });
    });
    wake(process.pid);
    await vanish();
    assert.deepEqual(summary((await hook).decision), [false, 'portal', 'closed']);
  });
});

describe('a hook for which there is no room beside its leader', () => {
  /** Late already, and all places beside the leader are taken. */
  async function crowded(t: TestContext, answeredBy: number) {
    const all = await led(t);
    const bound = 4 * availableParallelism();
    await all.state.step((tx) => {
      for (let n = 0; n < bound; n++) asks(tx, process.ppid, { taken: -1 });
    });
    const waitLimits = all.limits(1, answeredBy);
    const hook = all.connect(DENY, 'alice', { waitLimits });
    const own = async () => (await all.rows()).filter(({ pid }) => pid === process.pid);
    return { ...all, hook, waitLimits, own };
  }

  test('is answered by the fail mode once nobody needs its answer any more, and leaves nothing', async (t) => {
    const { it, hook, own, waitLimits } = await crowded(t, 400);
    const { decision, failure: why } = await hook;
    assert.ok(milliseconds() >= waitLimits.answeredBy);
    assert.deepEqual(summary(decision), [false, 'fail-close', 'closed']);
    assert.partialDeepStrictEqual(why, { code: 'DEADLINE_EXCEEDED', counts: 'no' });
    assert.equal(it.asked, 0);
    assert.deepEqual(await own(), []);
  });

  test('has its leader’s answer, should it come', async (t) => {
    const { it, hook, answerAll, waitLimits, script } = await crowded(t, HOUR);
    let late = 0;
    const came = new Promise<void>((resolve) => {
      script.each = () => {
        if (milliseconds() > waitLimits.takenBy && ++late > 2) resolve();
      };
    });
    await came;
    script.each = () => {};
    await answerAll(() => ALLOW);
    assert.deepEqual(summary((await hook).decision), [true, 'portal', 'closed']);
    assert.equal(it.asked, 0);
  });

  test('goes alone as soon as there is', async (t) => {
    const { it, state, hook, own } = await crowded(t, HOUR);
    await state.step((tx) => tx.write('DELETE FROM question WHERE pid = ?', process.ppid));
    assert.deepEqual(summary((await hook).decision), [false, 'portal', 'closed']);
    assert.equal(it.asked, 1);
    assert.deepEqual(await own(), []);
  });
});

describe('a hook that leads', () => {
  test('is told its term, and nobody waits: it goes, and the lead is free', async (t) => {
    const { connect, leader } = await led(t, {}, false);
    let told: unknown;
    const { leads: goesOn } = await connect(ALLOW, 'alice', {
      askPortal: async (_, term) => {
        told = [term, (await leader()).pid];
        return ALLOW;
      },
    });
    assert.deepEqual(told, [1, process.pid]);
    assert.equal(goesOn, null);
    assert.equal((await leader()).pid, 0);
  });

  test('goes on where somebody waits, and its own decision stands', async (t) => {
    const { state, connect, leader, sibling, kept } = await led(t, {}, false);
    const { decision, leads: goesOn } = await connect(ALLOW, 'alice', {
      askPortal: async () => {
        await state.step((tx) => asks(tx, sibling.pid));
        return DENY;
      },
    });
    assert.deepEqual(summary(decision), [false, 'portal', 'closed']);
    assert.equal(goesOn, 1);
    assert.equal((await leader()).pid, process.pid);
    assert.deepEqual(await kept(), [['alice', false]]);
  });

  test('gives the lead back where it cannot go on, and wakes who waits', async (t) => {
    const { state, connect, leader, sibling } = await led(t, {}, false);
    const { leads: goesOn } = await connect(ALLOW, 'alice', {
      mayLead: 'meanwhile',
      askPortal: async () => {
        await state.step((tx) => asks(tx, sibling.pid));
        return ALLOW;
      },
    });
    assert.equal(goesOn, null);
    assert.equal((await leader()).pid, 0);
  });
});
