import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  type Attributes,
  COUNTERS,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
} from '../../src/metrics/catalogue.ts';
import { INITIAL, trip } from '../../src/resilience/circuit-breaker.ts';
import { saveBreaker } from '../../src/state/breaker.ts';
import { noteContact } from '../../src/state/contact.ts';
import { count, observe } from '../../src/state/counters.ts';
import { noteMaintainRun } from '../../src/state/maintenance.ts';
import { enqueue } from '../../src/state/outbox.ts';
import { type Snapshot, takeSnapshot } from '../../src/telemetry/snapshot.ts';
import { at, ledger, openState, scratch, settings } from './fixture.ts';

const CONFIG = settings({ portal: { address: 'portal.example.net:9091' } });

function points({ gauges }: Snapshot, name: GaugeName) {
  return gauges.find((metric) => metric.name === name)?.points;
}

/** The value of a gauge that has no attributes. */
function gauge(snapshot: Snapshot, name: GaugeName): number | undefined {
  const [point, ...others] = points(snapshot, name) ?? [];
  assert.deepEqual([point?.attributes, others], [{}, []]);
  return point?.value;
}

describe('a snapshot', () => {
  test('has every metric of the catalogue once, with its unit and description', async (t) => {
    const run = await ledger(t);
    const snapshot = run(at(0), (tx) => takeSnapshot(tx, CONFIG));
    for (const [found, catalogue] of [
      [snapshot.counters, COUNTERS],
      [snapshot.histograms, HISTOGRAMS],
      [snapshot.gauges, GAUGES],
    ] as const) {
      assert.deepEqual(
        found.map(({ name, unit, description }) => [name, unit, description]),
        Object.entries(catalogue).map(([name, { unit, description }]) => [name, unit, description]),
      );
    }
  });

  test('shows what was never counted as 0, series by series', async (t) => {
    const run = await ledger(t);
    const snapshot = run(at(0), (tx) => takeSnapshot(tx, CONFIG));
    const known: Readonly<Record<string, { series: readonly Attributes[] }>> = { ...COUNTERS, ...HISTOGRAMS };
    for (const { name, points } of [...snapshot.counters, ...snapshot.histograms]) {
      const expected = known[name]?.series.map((series) => JSON.stringify(Object.entries(series).sort()));
      const shown = points.map(({ attributes }) => JSON.stringify(Object.entries(attributes)));
      assert.deepEqual(shown.sort(), expected?.sort(), name);
      for (const point of points) {
        const counts = 'value' in point ? [point.value] : [...point.buckets, point.sum];
        assert.ok(counts.every((count) => count === 0));
      }
    }
  });

  test('shows what was counted in the place of its zero, and what nobody expected besides', async (t) => {
    const run = await ledger(t);
    const snapshot = run(at(0), (tx) => {
      count(tx, 'ocserv.hook.decisions_total', { source: 'cache', allowed: 'true' });
      count(tx, 'ocserv.hook.decisions_total', { source: 'rate-limit', allowed: 'false' });
      observe(tx, 'ocserv.hook.duration', 0.02, { reason: 'connect' });
      return takeSnapshot(tx, CONFIG);
    });
    const decisions = snapshot.counters.find(({ name }) => name === 'ocserv.hook.decisions_total');
    const known = COUNTERS['ocserv.hook.decisions_total'].series.length;
    assert.equal(decisions?.points.length, known + 1);
    assert.deepEqual(
      decisions?.points.filter(({ value }) => value > 0).map(({ attributes }) => attributes),
      [
        { allowed: 'true', source: 'cache' },
        { allowed: 'false', source: 'rate-limit' },
      ],
    );
    const series = snapshot.counters.flatMap(({ name, points }) =>
      points.map(({ attributes }) => JSON.stringify([name, attributes])),
    );
    assert.equal(new Set(series).size, series.length, 'no series twice');
    assert.deepEqual(snapshot.histograms[0]?.points[0]?.attributes, { reason: 'connect' });
  });

  test('has times in seconds, and 0 for what has never been', async (t) => {
    const run = await ledger(t);
    const times = (moment: number) => {
      const snapshot = run(at(moment), (tx) => takeSnapshot(tx, CONFIG));
      return [
        gauge(snapshot, 'ocserv.portal.last_success_timestamp_seconds'),
        gauge(snapshot, 'ocserv.portal.last_error_timestamp_seconds'),
        gauge(snapshot, 'ocserv.maintain.last_run_timestamp_seconds'),
      ];
    };
    assert.deepEqual(times(0), [0, 0, 0]);
    run(at(1_500), (tx) => noteContact(tx, null));
    run(at(2_000), (tx) => noteContact(tx, 'UNAVAILABLE: refused'));
    run(at(3_000), noteMaintainRun);
    const start = at(0).wall / 1_000;
    assert.deepEqual(times(60_000), [start + 1.5, start + 2, start + 3]);
    const snapshot = run(at(61_000), (tx) => takeSnapshot(tx, CONFIG));
    assert.equal(gauge(snapshot, 'ocserv.metrics.timestamp_seconds'), start + 61);
  });

  test('has the breaker as it holds at that moment, not as it was last written', async (t) => {
    const run = await ledger(t);
    const config = settings({ resilience: { circuit_breaker: { timeout: '60s' } } });
    const state = (moment: number) =>
      gauge(
        run(at(moment), (tx) => takeSnapshot(tx, config)),
        'ocserv.circuit_breaker.state',
      );
    assert.equal(state(0), 0);
    run(at(0), (tx) => saveBreaker(tx, INITIAL, trip(INITIAL, tx.now)));
    assert.deepEqual([state(0), state(59_999), state(60_000)], [1, 1, 2]);
    assert.equal(state(59_999), 1, 'looking changes nothing');
  });

  test('has the age of the oldest event that waits, and 0 when none does', async (t) => {
    const run = await ledger(t);
    const oldest = (moment: number) => {
      const snapshot = run(at(moment), (tx) => takeSnapshot(tx, CONFIG));
      return [
        gauge(snapshot, 'ocserv.events.pending'),
        gauge(snapshot, 'ocserv.events.oldest_pending_seconds'),
      ];
    };
    assert.deepEqual(oldest(0), [0, 0]);
    const event = { username: 'alice', groupname: '', clientIp: '192.0.2.1', vpnIp: '', device: '' };
    for (const moment of [1_000, 5_000]) {
      run(at(moment), (tx) =>
        enqueue(
          tx,
          { ...event, type: 'connect', sessionId: `s-${moment}`, vhost: null, at: tx.now.wall, metadata: {} },
          { maxPending: 10 },
        ),
      );
    }
    assert.deepEqual(oldest(61_000), [2, 60]);
    assert.deepEqual(oldest(-5_000), [2, 0], 'a clock that was set back makes no age below 0');
  });

  test('says which state it is of, since when, and the version', async (t) => {
    const path = join(scratch(t), 'state.db');
    const before = Date.now();
    const state = await openState(path);
    const first = await state.read((tx) => takeSnapshot(tx, CONFIG));
    assert.ok(first.createdAt >= before && first.createdAt <= Date.now());
    assert.ok(first.takenAt >= first.createdAt);
    assert.match(first.instanceId, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    const [info] = points(first, 'ocserv.agent.info') ?? [];
    assert.deepEqual(info, {
      attributes: { version: first.version, instance_id: first.instanceId },
      value: 1,
    });
    assert.equal(gauge(first, 'ocserv.state.created_timestamp_seconds'), first.createdAt / 1_000);
    const again = await (await openState(path)).read((tx) => takeSnapshot(tx, CONFIG));
    assert.deepEqual([again.createdAt, again.instanceId], [first.createdAt, first.instanceId]);
  });

  test('is of another instance, with a later start and from 0 on, once the state was begun anew', async (t) => {
    const path = join(scratch(t), 'state.db');
    const state = await openState(path);
    const first = await state.step((tx) => {
      count(tx, 'ocserv.cache.hits_total');
      return takeSnapshot(tx, CONFIG);
    });
    writeFileSync(path, 'garbage '.repeat(1_000), { mode: 0o600 });
    writeFileSync(`${path}-wal`, '');
    const aside: string[] = [];
    const recreated = await openState(path, { onSetAside: (file) => aside.push(file) });
    const second = await recreated.read((tx) => takeSnapshot(tx, CONFIG));
    assert.equal(aside.length, 1);
    assert.notEqual(second.instanceId, first.instanceId);
    assert.ok(second.createdAt > first.createdAt);
    const hits = (snapshot: Snapshot) =>
      snapshot.counters.find(({ name }) => name === 'ocserv.cache.hits_total')?.points[0]?.value;
    assert.deepEqual([hits(first), hits(second)], [1, 0]);
  });
});
