import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONNECT, DISCONNECT, type Run } from './agent.ts';
import { gone } from './events.ts';
import { withPortal } from './fixture.ts';
import { answeredBy, counted, documentOf, saidBy, seriesOf, sum, takenBy } from './metrics.ts';

const STATS = { STATS_BYTES_IN: '5', STATS_BYTES_OUT: '6', STATS_DURATION: '7' };
/** Time for a busy machine: what is asserted here is what was counted, not how fast. */
const CONFIG = `
[events]
retry_initial = "100ms"
retry_max = "1s"
[resilience.cache]
ttl = "1h"
stale_ttl = "1h"
[hook]
deadline = "100s"
[telemetry]
enabled = false`;

/** Calls of every kind, in an order in which kinds alternate. */
function calls(): Record<string, string>[] {
  const host = { ...CONNECT, REASON: 'host-update', REMOTE_HOSTNAME: 'laptop' };
  const kinds: Record<string, (i: number) => Record<string, string>> = {
    cached: (i) => ({ ...CONNECT, USERNAME: 'cached', ID: `${1_000 + i}` }),
    allowed: (i) => ({ ...CONNECT, USERNAME: `good${i}`, ID: `${2_000 + i}` }),
    denied: (i) => ({ ...CONNECT, USERNAME: `bad${i}`, ID: `${3_000 + i}` }),
    'invalid name': (i) => ({ ...CONNECT, USERNAME: i % 2 === 0 ? '' : 'x'.repeat(64), ID: `${4_000 + i}` }),
    'invalid address': (i) => ({ ...CONNECT, USERNAME: `good${i}`, IP_REAL: 'nowhere', ID: `${5_000 + i}` }),
    'known end': (i) => ({ ...DISCONNECT, ...STATS, USERNAME: 'cached', ID: `${10 + i}` }),
    'unknown end': (i) => ({ ...DISCONNECT, ...STATS, USERNAME: `ghost${i}`, ID: `${6_000 + i}` }),
    'host-update': (i) => ({ ...host, USERNAME: 'cached', ID: `${10 + i}` }),
    refused: () => ({ ...CONNECT, REASON: 'surprise', USERNAME: 'good0' }),
  };
  return Array.from({ length: 25 }, (_, i) => {
    const each = Object.values(kinds).map((kind) => kind(i));
    // Nine kinds, eight at a time.
    return each.filter((_, place) => place !== i % 9);
  }).flat();
}

describe('the metrics of 200 hooks at once', () => {
  const fixture = withPortal({
    default: { allowed: true },
    users: Object.fromEntries(
      Array.from({ length: 25 }, (_, i) => [`bad${i}`, { allowed: false, reason: 'on leave' }]),
    ),
  });

  test('are what the portal counted, what the exit statuses say, and what the log says', async () => {
    await using agent = await fixture.install(CONFIG, 'timeout = "20s"');
    const before: Run[] = [];
    for (let i = 0; i < 25; i++) before.push(await agent.connect('cached', { ID: `${10 + i}` }));
    const environments = calls();
    assert.equal(environments.length, 200);
    const storm = await Promise.all(environments.map((environment) => agent.hook(environment)));
    const flushed = await agent.command('events', 'flush');
    assert.equal(flushed.code, 0, flushed.stdout);
    await gone(agent);

    const runs = [...before, ...storm];
    const of = (reason: string): Run[] => [
      ...(reason === 'connect' ? before : []),
      ...storm.filter((_, i) => environments[i]?.['REASON'] === reason),
    ];
    for (const { log, stderr } of runs) {
      assert.ok(!log.some(({ msg }) => /cannot be used|could not be/.test(String(msg))), stderr);
    }
    const series = await seriesOf(agent);
    const { decisions, cache } = saidBy(runs);

    assert.deepEqual(counted(series, 'ocserv_hook_decisions_total'), decisions);
    assert.deepEqual(Object.keys(decisions), [
      '{allowed="false",source="invalid"}',
      '{allowed="false",source="portal"}',
      '{allowed="true",source="cache"}',
      '{allowed="true",source="portal"}',
    ]);
    const allowed = of('connect').filter(({ code }) => code === 0).length;
    assert.equal(
      allowed,
      (decisions['{allowed="true",source="cache"}'] ?? 0) +
        (decisions['{allowed="true",source="portal"}'] ?? 0),
    );
    assert.equal(sum(series, 'ocserv_hook_decisions_total'), of('connect').length);
    assert.deepEqual(counted(series, 'ocserv_hook_duration_count'), {
      '{reason="connect"}': of('connect').length,
      '{reason="disconnect"}': of('disconnect').filter(({ code }) => code === 0).length,
      '{reason="host-update"}': of('host-update').filter(({ code }) => code === 0).length,
    });
    assert.ok(of('surprise').length > 20 && of('surprise').every(({ code }) => code === 2));

    assert.deepEqual(
      {
        '{state="hit"}': sum(series, 'ocserv_cache_hits_total'),
        '{state="miss"}': sum(series, 'ocserv_cache_misses_total'),
      },
      cache,
    );
    assert.equal(sum(series, 'ocserv_cache_stale_hits_total'), 0);

    const { portal } = fixture;
    assert.deepEqual(counted(series, 'ocserv_portal_call_duration_count'), answeredBy(portal));
    const asked = portal.callsOf('CheckPolicy').length;
    assert.deepEqual(counted(series, 'ocserv_circuit_breaker_requests_total'), { '{state="closed"}': asked });
    assert.equal(sum(series, 'ocserv_circuit_breaker_failures_total'), 0);
    assert.deepEqual(counted(series, 'ocserv_events_delivered_total'), takenBy(portal));
    assert.equal(sum(series, 'ocserv_events_delivered_total'), allowed + of('disconnect').length);
    assert.equal(sum(series, 'ocserv_events_dropped_total'), 0);

    const live = agent.query('SELECT 1 FROM session WHERE ended_wall IS NULL').length;
    assert.equal(series.get('ocserv_sessions_active'), live);
    assert.equal(series.get('ocserv_cache_size'), asked, 'each answer was kept');
    assert.equal(series.get('ocserv_events_pending'), 0);
    assert.equal(series.get('ocserv_circuit_breaker_state'), 0);
  });

  test('have durations that are neither longer than the log says, nor nothing', async () => {
    await using agent = await fixture.install(CONFIG, 'timeout = "20s"');
    const runs = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        agent.connect(i % 2 === 0 ? 'good1' : `good${i}`, { ID: `${i + 1}` }),
      ),
    );
    await gone(agent);
    const series = await seriesOf(agent);
    const name = 'ocserv_hook_duration';
    const logged = runs.map(({ decision }) => Number(decision?.['duration_ms']) / 1_000);
    const all = logged.reduce((total, one) => total + one, 0);
    const measured = series.get(`${name}_sum{reason="connect"}`) ?? 0;
    assert.ok(measured > 0 && measured <= all, `${measured} s of ${all} s`);
    const { metrics } = await documentOf(agent);
    const point = metrics.find((metric) => metric.name === 'ocserv.hook.duration')?.points[0];
    assert.ok(point !== undefined && 'buckets' in point);
    for (const { le, count } of point.buckets) {
      const sooner = logged.filter((seconds) => seconds <= le).length;
      assert.ok(count >= sooner, `${count} in at most ${le} s, and the log has ${sooner}`);
    }
    const calls = series.get('ocserv_portal_call_duration_sum{grpc_code="OK",rpc="CheckPolicy"}') ?? 0;
    assert.ok(calls > 0 && calls < measured, 'asking is a part of deciding');
  });
});
