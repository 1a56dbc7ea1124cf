import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Admission,
  admit,
  type BreakerRules,
  type BreakerState,
  INITIAL,
  type Outcome,
  reset,
  settle,
  settleTime,
  trip,
} from '../../src/resilience/circuit-breaker.ts';
import type { Instant } from '../../src/resilience/instant.ts';
import { at } from './fixture.ts';

const RULES: BreakerRules = {
  maxRequests: 2,
  interval: 30_000,
  timeout: 60_000,
  failureThreshold: 3,
  trialLease: 4_000,
};

/** One breaker over time, as all processes see it. */
class Breaker {
  state: BreakerState = INITIAL;
  rules = RULES;

  admit(now: Instant): Admission | null {
    const { state, admission } = admit(this.state, this.rules, now);
    this.state = state;
    return admission;
  }

  mustAdmit(now: Instant): Admission {
    const admission = this.admit(now);
    assert.ok(admission, `a call should have been let through while ${this.state.kind}`);
    return admission;
  }

  settle(admission: Admission, outcome: Outcome, now: Instant): void {
    this.state = settle(this.state, admission, outcome, this.rules, now);
  }

  /** Calls one after the other, each over before the next begins. */
  calls(now: Instant, ...outcomes: Outcome[]): this {
    for (const outcome of outcomes) this.settle(this.mustAdmit(now), outcome, now);
    return this;
  }

  kindAt(now: Instant): BreakerState['kind'] {
    return settleTime(this.state, this.rules, now).kind;
  }
}

const opened = (now = at(0)) => new Breaker().calls(now, 'failure', 'failure', 'failure');

describe('a closed breaker', () => {
  test('is how it begins, and lets every call through', () => {
    const breaker = new Breaker();
    for (let call = 0; call < 50; call++) breaker.mustAdmit(at(0));
    assert.equal(breaker.kindAt(at(0)), 'closed');
  });

  test('opens at as many failures in a row as the threshold, not at one fewer', () => {
    const breaker = new Breaker().calls(at(0), 'failure', 'failure');
    assert.equal(breaker.kindAt(at(0)), 'closed');
    breaker.calls(at(0), 'failure');
    assert.equal(breaker.kindAt(at(0)), 'open');
  });

  test('starts the count over at a success', () => {
    const breaker = new Breaker().calls(at(0), 'failure', 'failure', 'success', 'failure', 'failure');
    assert.equal(breaker.kindAt(at(0)), 'closed');
    assert.equal(breaker.calls(at(0), 'failure').kindAt(at(0)), 'open');
  });

  test('starts the count over one interval after the first failure of the row', () => {
    const late = new Breaker().calls(at(0), 'failure').calls(at(29_999), 'failure');
    assert.equal(late.calls(at(30_000), 'failure', 'failure').kindAt(at(30_000)), 'closed');
    assert.equal(late.calls(at(30_000), 'failure').kindAt(at(30_000)), 'open');
    const inTime = new Breaker().calls(at(0), 'failure', 'failure').calls(at(29_999), 'failure');
    assert.equal(inTime.kindAt(at(29_999)), 'open');
  });

  test('counts the interval from the first failure, however late the others came', () => {
    const breaker = new Breaker().calls(at(0), 'failure').calls(at(20_000), 'failure');
    breaker.calls(at(40_000), 'failure', 'failure');
    assert.equal(breaker.kindAt(at(40_000)), 'closed');
  });

  test('counts a failure when it is known, not when its call went out', () => {
    const breaker = new Breaker();
    const calls = [breaker.mustAdmit(at(0)), breaker.mustAdmit(at(0)), breaker.mustAdmit(at(0))];
    for (const call of calls) breaker.settle(call, 'failure', at(29_000));
    assert.equal(breaker.kindAt(at(29_000)), 'open');
  });

  test('takes no notice of what says nothing about the portal: it neither counts nor starts over', () => {
    const breaker = new Breaker().calls(at(0), 'failure', 'excluded', 'failure', 'excluded');
    assert.equal(breaker.kindAt(at(0)), 'closed');
    assert.equal(breaker.calls(at(0), 'failure').kindAt(at(0)), 'open');
  });

  test('opens at the first failure where the threshold is one', () => {
    const breaker = new Breaker();
    breaker.rules = { ...RULES, failureThreshold: 1 };
    assert.equal(breaker.calls(at(0), 'failure').kindAt(at(0)), 'open');
  });

  test('costs no write while the portal is well: its state stays the same object', () => {
    const breaker = new Breaker().calls(at(0), 'success', 'success', 'excluded');
    assert.equal(breaker.state, INITIAL);
  });
});

describe('an open breaker', () => {
  test('lets nothing through until the timeout is over, counted from when it opened', () => {
    const breaker = opened();
    assert.equal(breaker.admit(at(0)), null);
    assert.equal(breaker.admit(at(59_999)), null);
    assert.equal(breaker.kindAt(at(59_999)), 'open');
    assert.equal(breaker.kindAt(at(60_000)), 'half-open');
    assert.ok(breaker.admit(at(60_000)));
  });

  test('stays so for the whole timeout, whatever outcomes of earlier calls arrive', () => {
    const breaker = new Breaker();
    const calls = Array.from({ length: 9 }, () => breaker.mustAdmit(at(0)));
    const outcomes: Outcome[] = [
      'failure',
      'failure',
      'failure',
      'success',
      'failure',
      'excluded',
      'success',
    ];
    outcomes.forEach((outcome, i) => {
      breaker.settle(calls[i] as Admission, outcome, at(i * 1_000));
    });
    assert.equal(breaker.kindAt(at(61_999)), 'open');
    assert.equal(breaker.kindAt(at(62_000)), 'half-open');
  });

  test('is never open longer than the timeout because somebody set the clock back', () => {
    const breaker = opened();
    const back = (milliseconds: number) => ({ ...at(milliseconds), wall: at(0).wall - 86_400_000 });
    assert.equal(breaker.kindAt(back(59_999)), 'open');
    assert.equal(breaker.kindAt(back(60_000)), 'half-open');
    assert.equal(breaker.kindAt({ ...at(1, 'boot-2'), wall: at(0).wall - 1 }), 'half-open');
  });

  test('outlasts a reboot', () => {
    const breaker = opened();
    assert.equal(breaker.kindAt({ ...at(59_999, 'boot-2'), mono: 1 }), 'open');
    assert.equal(breaker.kindAt({ ...at(60_000, 'boot-2'), mono: 1 }), 'half-open');
  });
});

describe('by hand', () => {
  test('a trip opens it, for the timeout like any opening', () => {
    const breaker = new Breaker();
    breaker.state = trip(breaker.state, at(0));
    assert.equal(breaker.admit(at(59_999)), null);
    assert.equal(breaker.kindAt(at(60_000)), 'half-open');
  });

  test('a trip of an open one begins its timeout anew', () => {
    const breaker = opened();
    breaker.state = trip(breaker.state, at(50_000));
    assert.equal(breaker.kindAt(at(109_999)), 'open');
    assert.equal(breaker.kindAt(at(110_000)), 'half-open');
  });

  test('a trip ends the half-open period with its trials', () => {
    const breaker = opened();
    const trial = breaker.mustAdmit(at(60_000));
    breaker.state = trip(breaker.state, at(60_000));
    breaker.settle(trial, 'success', at(60_001));
    assert.equal(breaker.kindAt(at(119_999)), 'open');
  });

  test('a reset closes it at once and forgets every failure', () => {
    for (const breaker of [opened(), new Breaker().calls(at(0), 'failure', 'failure')]) {
      breaker.state = reset(breaker.state);
      assert.equal(breaker.calls(at(1), 'failure', 'failure').kindAt(at(1)), 'closed');
    }
  });

  test('a reset makes the outcomes of calls that are out harmless', () => {
    const breaker = new Breaker();
    const calls = [breaker.mustAdmit(at(0)), breaker.mustAdmit(at(0)), breaker.mustAdmit(at(0))];
    breaker.state = reset(breaker.state);
    for (const call of calls) breaker.settle(call, 'failure', at(1));
    assert.equal(breaker.kindAt(at(1)), 'closed');
    assert.equal(breaker.calls(at(1), 'failure', 'failure').kindAt(at(1)), 'closed');
  });
});
