import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, type TestContext, test } from 'node:test';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import { milliseconds } from '../../src/state/clock.ts';
import { keepDecision } from '../../src/state/decisions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import { wake } from '../../src/state/wake.ts';
import { letPass } from './fixture.ts';
import { HOUR, led, summary } from './led.ts';
import { ALICE, ALLOW, AWAY, DENY } from './portal.ts';
import { asks } from './siblings.ts';

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
    let takenBy: number | undefined;
    const waitLimits = {
      ...all.limits(HOUR, answeredBy),
      // From when it is asked for: one that is late from the beginning waits for nobody.
      get takenBy() {
        takenBy ??= milliseconds() + 1;
        return takenBy;
      },
    };
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
