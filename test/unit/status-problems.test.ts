import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Figures } from '../../src/cli/status-figures.ts';
import { type Problem, problemsOf } from '../../src/cli/status-problems.ts';

const NOW = Date.UTC(2026, 10, 25, 12, 0, 0);

function ago(seconds: number): string {
  return new Date(NOW - seconds * 1_000).toISOString();
}

/** A server on which all is well, but for what is said. */
function seen(other: Partial<Figures> = {}): Problem[] {
  return problemsOf({
    time: ago(0),
    mode: 'enforce',
    fail_mode: 'stale',
    breaker: { state: 'closed', failures: 0, opened_at: null, retry_at: null, max_requests: 5 },
    decisions: {},
    cache: {},
    events: {
      enabled: true,
      pending: 3,
      failed: 0,
      oldest_pending_seconds: 900,
      delivered_total: 9,
      dropped_total: 0,
    },
    drain: { running: false, pid: null, failures: 0, retry_at: null, last_error: null },
    sessions: { active: 7 },
    portal: { last_success_at: ago(2), last_error: 'UNAVAILABLE: gone', last_error_at: ago(3) },
    maintain: { last_run_at: ago(600) },
    telemetry: { enabled: true, last_success_at: ago(5), last_error: 'refused', last_error_at: ago(6) },
    state: { path: '/state.db', schema_version: 3 },
    ...other,
  });
}

const events = (other: Partial<Figures['events']>): Figures['events'] => ({
  enabled: true,
  pending: 3,
  failed: 0,
  oldest_pending_seconds: 1,
  delivered_total: 0,
  dropped_total: 0,
  ...other,
});

describe('what status names as wrong', () => {
  test('is nothing at the very edge of all bounds', () => {
    assert.deepEqual(seen(), []);
  });

  for (const [what, other, level, words] of [
    ['observe mode', { mode: 'observe' }, 'broken', /^OBSERVE: everybody is let in/],
    [
      'an open breaker, and for how long it will be',
      { breaker: { state: 'open', failures: 3, retry_at: ago(-40), max_requests: 5 } },
      'broken',
      /is open, for 40s more: .* fail mode stale decides/,
    ],
    [
      'a half-open breaker',
      { breaker: { state: 'half-open', failures: 3, retry_at: null, max_requests: 5 } },
      'warning',
      /half-open: 5 connects at a time/,
    ],
    [
      'a portal that has not answered since it failed',
      { portal: { last_success_at: ago(300), last_error: 'UNAVAILABLE: gone', last_error_at: ago(90) } },
      'warning',
      /failed 90s ago, .*: UNAVAILABLE: gone$/,
    ],
    [
      'a portal that has never answered',
      { portal: { last_success_at: null, last_error: 'LOCAL: no key', last_error_at: ago(1) } },
      'warning',
      /LOCAL: no key$/,
    ],
    [
      'events that were set aside',
      { events: events({ failed: 2 }) },
      'broken',
      /^2 session event\(s\) are set aside/,
    ],
    [
      'events that have waited for more than a quarter of an hour, and why',
      {
        events: events({ oldest_pending_seconds: 901 }),
        drain: { running: false, pid: null, failures: 2, retry_at: null, last_error: 'UNAVAILABLE: gone' },
      },
      'broken',
      /the oldest for 15m: UNAVAILABLE: gone$/,
    ],
    ['maintain that has never run', { maintain: { last_run_at: null } }, 'warning', /has never run/],
    [
      'maintain that has run in the future',
      { maintain: { last_run_at: ago(-7_200) } },
      'warning',
      /in the future .*: this machine's clock was set back/,
    ],
    [
      'a portal that failed in the future, as just now',
      { portal: { last_success_at: ago(300), last_error: 'UNAVAILABLE: gone', last_error_at: ago(-7_200) } },
      'warning',
      /^the portal failed 0s ago/,
    ],
    ['maintain that is late', { maintain: { last_run_at: ago(601) } }, 'warning', /last ran 10m ago/],
    [
      'a collector that has gone',
      {
        telemetry: { enabled: true, last_success_at: ago(300), last_error: 'refused', last_error_at: ago(6) },
      },
      'warning',
      /not been exported for 5m: refused/,
    ],
  ] as const satisfies readonly [string, Partial<Figures>, Problem['level'], RegExp][]) {
    test(`is ${what}`, () => {
      const [first, ...others] = seen(other);
      assert.deepEqual([first?.level, others], [level, []]);
      assert.match(first?.what ?? '', words);
      assert.notEqual(first?.cure, '');
    });
  }

  test('is not a collector that never was there, nor one that is not wanted', () => {
    const never = { last_success_at: null, last_error: 'refused', last_error_at: ago(6) };
    assert.deepEqual(seen({ telemetry: { enabled: true, ...never } }), []);
    assert.deepEqual(seen({ telemetry: { ...never, enabled: false, last_success_at: ago(300) } }), []);
  });

  test('comes with the worst first', () => {
    const levels = seen({
      maintain: { last_run_at: null },
      events: events({ failed: 1 }),
      mode: 'observe',
    }).map(({ level }) => level);
    assert.deepEqual(levels, ['broken', 'broken', 'warning']);
  });
});
