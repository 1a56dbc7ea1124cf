import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
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
import { BreakerModel, type Ticket } from './circuit-breaker-model.ts';
import { at } from './fixture.ts';

type Event =
  | { readonly do: 'ask' }
  /** The outcome of any call that was ever let through: prompt, late, or brought back twice. One that never is, died. */
  | { readonly do: 'answer'; readonly call: number; readonly outcome: Outcome }
  | { readonly do: 'wait'; readonly milliseconds: number }
  | { readonly do: 'set the clock'; readonly by: number }
  | { readonly do: 'reboot'; readonly by: number }
  | { readonly do: 'allow at most'; readonly trials: number }
  | { readonly do: 'trip' | 'reset' };

const outcome = fc.constantFrom<Outcome>('success', 'failure', 'excluded');
/** Mostly small steps around the spans of the rules, which are 10, 20, 6 and small numbers below. */
const span = fc.oneof(fc.integer({ min: 0, max: 7 }), fc.constantFrom(9, 10, 11, 19, 20, 21, 100));
const jump = fc.oneof(fc.integer({ min: -30, max: 30 }), fc.constantFrom(-100_000, 100_000));

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ do: 'ask' as const }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('answer' as const), call: fc.nat(7), outcome }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('wait' as const), milliseconds: span }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('set the clock' as const), by: jump }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reboot' as const), by: jump }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('allow at most' as const),
      trials: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Event>({ do: 'trip' }, { do: 'reset' }) },
);

const rules: fc.Arbitrary<BreakerRules> = fc.record({
  maxRequests: fc.integer({ min: 1, max: 4 }),
  interval: fc.constant(10),
  timeout: fc.constant(20),
  failureThreshold: fc.integer({ min: 1, max: 3 }),
  trialLease: fc.constant(6),
});

/** The real breaker and the model side by side, on one clock that anybody may set. */
class Both {
  readonly model = new BreakerModel();
  readonly calls: { admission: Admission; ticket: Ticket }[] = [];
  state: BreakerState = INITIAL;
  now: Instant = at(0);
  rules: BreakerRules;

  constructor(first: BreakerRules) {
    this.rules = first;
  }

  take(event: Event): void {
    switch (event.do) {
      case 'ask': {
        const { state, admission } = admit(this.state, this.rules, this.now);
        const ticket = this.model.admit(this.rules, this.now);
        this.state = state;
        assert.equal(admission !== null, ticket !== null, 'let through');
        if (admission !== null && ticket !== null) this.calls.unshift({ admission, ticket });
        return;
      }
      case 'answer': {
        const call = this.calls[event.call];
        if (call === undefined) return;
        this.state = settle(this.state, call.admission, event.outcome, this.rules, this.now);
        this.model.settle(call.ticket, event.outcome, this.rules, this.now);
        return;
      }
      case 'wait':
        this.now = {
          ...this.now,
          wall: this.now.wall + event.milliseconds,
          mono: this.now.mono + event.milliseconds,
        };
        return;
      case 'set the clock':
        this.now = { ...this.now, wall: this.now.wall + event.by };
        return;
      case 'reboot':
        this.now = { wall: this.now.wall + event.by, boot: `${this.now.boot}+`, mono: 1 };
        return;
      case 'allow at most':
        this.rules = { ...this.rules, maxRequests: event.trials };
        return;
      case 'trip':
        this.state = trip(this.state, this.now);
        this.model.trip(this.now);
        return;
      case 'reset':
        this.state = reset(this.state);
        this.model.reset();
    }
  }

  /** As stored between two processes: whatever does not survive JSON would be lost. */
  store(): void {
    this.state = JSON.parse(JSON.stringify(this.state)) as BreakerState;
  }

  compare(): void {
    const state = settleTime(this.state, this.rules, this.now);
    const period = this.model.seen(this.rules, this.now);
    assert.equal(state.kind, period.is);
    if (state.kind === 'closed' && period.is === 'closed') assert.equal(state.failures, period.row.length);
    if (state.kind === 'open' && period.is === 'open') assert.deepEqual(state.openedAt, period.since);
    if (state.kind === 'half-open' && period.is === 'half-open') {
      assert.equal(state.successes, period.successes);
      assert.equal(state.trials.length, period.live.size);
    }
  }
}

const runs = { numRuns: 2_000 };
const history = fc.array(event, { maxLength: 60, size: 'max' });

describe('whatever happens to it', () => {
  test('a circuit breaker does what its documentation says', () => {
    fc.assert(
      fc.property(rules, history, (first, events) => {
        const both = new Both(first);
        for (const next of events) {
          both.take(next);
          both.store();
          both.compare();
        }
      }),
      runs,
    );
  });

  test('live trials and successes of one half-open period never exceed max_requests', () => {
    fc.assert(
      fc.property(rules, history, (first, events) => {
        const both = new Both(first);
        for (const next of events.filter((one) => one.do !== 'allow at most')) {
          both.take(next);
          const { state } = both;
          if (state.kind === 'half-open')
            assert.ok(state.trials.length + state.successes <= first.maxRequests);
        }
      }),
      runs,
    );
  });

  test('it closes by a reset or by the successes of live trials, and opens by a trip or by a failure, only', () => {
    fc.assert(
      fc.property(rules, history, (first, events) => {
        const both = new Both(first);
        for (const next of events.filter((one) => one.do !== 'allow at most')) {
          const before = both.state.kind;
          both.take(next);
          const after = both.state.kind;
          if (before !== 'closed' && after === 'closed')
            assert.ok(next.do === 'reset' || (next.do === 'answer' && next.outcome === 'success'));
          if (before !== 'open' && after === 'open')
            assert.ok(next.do === 'trip' || (next.do === 'answer' && next.outcome === 'failure'));
        }
      }),
      runs,
    );
  });

  test('it is open for exactly its timeout while nobody touches the clock or trips it, and nothing gets through', () => {
    fc.assert(
      fc.property(rules, history, (first, events) => {
        const both = new Both(first);
        const quiet = events.filter(
          (one) => one.do === 'ask' || one.do === 'answer' || one.do === 'wait' || one.do === 'allow at most',
        );
        let openedAt: number | null = null;
        for (const next of quiet) {
          const asked = both.calls.length;
          both.take(next);
          const { kind } = settleTime(both.state, both.rules, both.now);
          if (openedAt !== null && both.now.mono < openedAt + first.timeout) {
            assert.equal(kind, 'open');
            assert.equal(both.calls.length, asked, 'a call got through');
          } else if (openedAt !== null && both.now.mono >= openedAt + first.timeout) {
            if (next.do === 'wait') assert.equal(kind, 'half-open');
            openedAt = null;
          }
          if (openedAt === null && kind === 'open') openedAt = both.now.mono;
        }
      }),
      runs,
    );
  });

  test('no setting of the clock keeps it open longer than its timeout', () => {
    fc.assert(
      fc.property(rules, fc.array(fc.tuple(span, jump), { maxLength: 30 }), (first, steps) => {
        const both = new Both(first);
        both.take({ do: 'trip' });
        for (const [milliseconds, by] of steps) {
          both.take({ do: 'wait', milliseconds });
          both.take({ do: 'set the clock', by });
          if (both.now.mono >= at(0).mono + first.timeout)
            assert.notEqual(settleTime(both.state, both.rules, both.now).kind, 'open');
        }
      }),
      runs,
    );
  });
});
