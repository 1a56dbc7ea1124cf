import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Admission,
  admit,
  type BreakerRules,
  type BreakerState,
  type Outcome,
  settle,
  settleTime,
} from '../../src/resilience/circuit-breaker.ts';
import type { Instant } from '../../src/resilience/instant.ts';
import { at } from './fixture.ts';

const RULES: BreakerRules = {
  maxRequests: 3,
  interval: 30_000,
  timeout: 60_000,
  failureThreshold: 3,
  trialLease: 4_000,
};

/** A breaker that opened at 0 and has just become half-open. */
class HalfOpen {
  static readonly SINCE = 60_000;
  state: BreakerState = { kind: 'open', generation: 7, failures: 3, openedAt: at(0) };
  rules = RULES;

  trial(now: Instant = at(HalfOpen.SINCE)): Admission | null {
    const { state, admission } = admit(this.state, this.rules, now);
    this.state = state;
    return admission;
  }

  mustTry(now: Instant = at(HalfOpen.SINCE)): Admission {
    const trial = this.trial(now);
    assert.ok(trial, 'a trial should have been admitted');
    return trial;
  }

  settle(trial: Admission, outcome: Outcome, now: Instant = at(HalfOpen.SINCE)): void {
    this.state = settle(this.state, trial, outcome, this.rules, now);
  }

  at(now: Instant): BreakerState {
    return settleTime(this.state, this.rules, now);
  }
}

describe('a half-open breaker', () => {
  test('admits as many trials as max_requests, and not one more', () => {
    const breaker = new HalfOpen();
    for (let trial = 0; trial < 3; trial++) breaker.mustTry();
    assert.equal(breaker.trial(), null);
    assert.equal(breaker.trial(at(63_999)), null);
  });

  test('counts a trial that succeeded as one of its max_requests: its place is not given again', () => {
    const breaker = new HalfOpen();
    const trial = breaker.mustTry();
    breaker.settle(trial, 'success');
    breaker.mustTry();
    breaker.mustTry();
    assert.equal(breaker.trial(), null);
  });

  test('closes at as many successes as max_requests, and begins with a clean count', () => {
    const breaker = new HalfOpen();
    for (const trial of [breaker.mustTry(), breaker.mustTry()]) breaker.settle(trial, 'success');
    assert.equal(breaker.at(at(HalfOpen.SINCE)).kind, 'half-open');
    breaker.settle(breaker.mustTry(), 'success');
    const { kind, failures } = breaker.at(at(HalfOpen.SINCE));
    assert.deepEqual([kind, failures], ['closed', 0]);
  });

  test('opens again at one failure, for a whole timeout from then', () => {
    const breaker = new HalfOpen();
    const trials = [breaker.mustTry(), breaker.mustTry(), breaker.mustTry()];
    breaker.settle(trials[0] as Admission, 'success', at(60_100));
    breaker.settle(trials[1] as Admission, 'failure', at(61_000));
    assert.equal(breaker.state.kind, 'open');
    assert.equal(breaker.at(at(120_999)).kind, 'open');
    assert.equal(breaker.at(at(121_000)).kind, 'half-open');
  });

  test('begins anew after it opened again: earlier successes and trials count no more', () => {
    const breaker = new HalfOpen();
    const trials = [breaker.mustTry(), breaker.mustTry(), breaker.mustTry()];
    breaker.settle(trials[0] as Admission, 'success');
    breaker.settle(trials[1] as Admission, 'failure');
    const now = at(HalfOpen.SINCE + 60_000);
    for (let trial = 0; trial < 3; trial++) breaker.mustTry(now);
    assert.equal(breaker.trial(now), null);
  });

  test('gives back the place of a trial that says nothing about the portal', () => {
    const breaker = new HalfOpen();
    const trials = [breaker.mustTry(), breaker.mustTry(), breaker.mustTry()];
    breaker.settle(trials[0] as Admission, 'excluded');
    breaker.mustTry();
    assert.equal(breaker.trial(), null);
    assert.equal(breaker.state.kind, 'half-open');
  });
});

describe('a trial that died', () => {
  test('frees its place when its lease is over, and does nothing else', () => {
    const breaker = new HalfOpen();
    breaker.mustTry(at(60_000));
    breaker.mustTry(at(60_000));
    breaker.settle(breaker.mustTry(at(61_000)), 'success', at(61_500));
    assert.equal(breaker.trial(at(63_999)), null);
    const freed = breaker.at(at(64_000));
    assert.ok(freed.kind === 'half-open');
    assert.deepEqual([freed.trials.length, freed.successes], [0, 1]);
    breaker.mustTry(at(64_000));
    breaker.mustTry(at(64_000));
    assert.equal(breaker.trial(at(64_000)), null);
  });

  test('frees it too when the clock was set back', () => {
    const breaker = new HalfOpen();
    for (let trial = 0; trial < 3; trial++) breaker.mustTry(at(60_000));
    const back = (milliseconds: number) => ({ ...at(milliseconds), wall: 0 });
    assert.equal(breaker.trial(back(63_999)), null);
    assert.ok(breaker.trial(back(64_000)));
  });

  test('changes nothing when it comes back after its lease, with whatever outcome', () => {
    for (const outcome of ['success', 'failure', 'excluded'] as const) {
      const breaker = new HalfOpen();
      const slow = breaker.mustTry(at(60_000));
      breaker.settle(slow, outcome, at(64_000));
      const state = breaker.state;
      assert.ok(state.kind === 'half-open', `${outcome} left it ${state.kind}`);
      assert.deepEqual([state.trials.length, state.successes], [0, 0]);
    }
  });

  test('does not take along the place of the one who got it after', () => {
    const breaker = new HalfOpen();
    const dead = [breaker.mustTry(at(60_000)), breaker.mustTry(at(60_000)), breaker.mustTry(at(60_000))];
    for (let trial = 0; trial < 3; trial++) breaker.mustTry(at(64_000));
    for (const trial of dead) breaker.settle(trial, 'success', at(64_001));
    assert.equal(breaker.trial(at(64_001)), null);
    assert.ok(breaker.state.kind === 'half-open' && breaker.state.successes === 0);
  });
});

describe('an outcome that is late', () => {
  test('is counted once: the same trial brought back again changes nothing', () => {
    const breaker = new HalfOpen();
    const trial = breaker.mustTry();
    for (let time = 0; time < 5; time++) breaker.settle(trial, 'success');
    assert.ok(breaker.state.kind === 'half-open');
    assert.equal(breaker.state.successes, 1);
  });

  test('of an earlier half-open period neither closes nor opens the next', () => {
    for (const outcome of ['success', 'failure'] as const) {
      const breaker = new HalfOpen();
      const old = breaker.mustTry(at(60_000));
      breaker.settle(breaker.mustTry(at(60_000)), 'failure', at(60_000));
      breaker.mustTry(at(120_000));
      breaker.settle(old, outcome, at(120_001));
      assert.ok(breaker.state.kind === 'half-open');
      assert.deepEqual([breaker.state.trials.length, breaker.state.successes], [1, 0]);
    }
  });

  test('of the half-open period does not count once it is closed again', () => {
    const breaker = new HalfOpen();
    breaker.rules = { ...RULES, failureThreshold: 1 };
    const trials = [breaker.mustTry(), breaker.mustTry()];
    breaker.rules = { ...breaker.rules, maxRequests: 1 };
    breaker.settle(trials[0] as Admission, 'success');
    assert.equal(breaker.state.kind, 'closed');
    breaker.settle(trials[1] as Admission, 'failure');
    assert.equal(breaker.state.kind, 'closed');
  });

  test('of the closed state before does not count while half-open', () => {
    const breaker = new HalfOpen();
    breaker.mustTry();
    for (const outcome of ['failure', 'success'] as const) {
      breaker.settle({ generation: 6, trial: null }, outcome);
      assert.equal(breaker.state.kind, 'half-open');
    }
  });
});

describe('max_requests lowered in the configuration while half-open', () => {
  test('closes it when the successes are already enough', () => {
    const breaker = new HalfOpen();
    breaker.settle(breaker.mustTry(), 'success');
    breaker.rules = { ...RULES, maxRequests: 1 };
    assert.equal(breaker.at(at(60_001)).kind, 'closed');
  });

  test('admits no more until enough trials have come back', () => {
    const breaker = new HalfOpen();
    const trials = [breaker.mustTry(), breaker.mustTry()];
    breaker.rules = { ...RULES, maxRequests: 2 };
    assert.equal(breaker.trial(), null);
    breaker.settle(trials[0] as Admission, 'excluded');
    assert.ok(breaker.trial());
  });
});
