import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { BUCKETS, COUNTERS, GAUGES, HISTOGRAMS } from '../../src/metrics/catalogue.ts';
import { count, observe } from '../../src/state/counters.ts';
import { prometheusText } from '../../src/telemetry/prometheus.ts';
import { type Snapshot, takeSnapshot } from '../../src/telemetry/snapshot.ts';
import { readExposition } from './exposition.ts';
import { at, ledger, settings } from './fixture.ts';

const DESCRIBED = { unit: 's', description: 'Just a test' };

/** Just these counters and histograms. */
function snapshotOf(some: Pick<Snapshot, 'counters' | 'histograms'>): Snapshot {
  return { createdAt: 1_000, takenAt: 2_000, instanceId: 'i', version: '1.2.3', gauges: [], ...some };
}

describe('the text for Prometheus', () => {
  test('has each metric once, described, as the kind that it is, with underscores for dots', async (t) => {
    const run = await ledger(t);
    const text = run(at(0), (tx) => {
      count(tx, 'ocserv.cache.hits_total');
      observe(tx, 'ocserv.hook.duration', 0.02, { reason: 'connect' });
      observe(tx, 'ocserv.portal.call.duration', 0.02, { rpc: 'CheckPolicy', grpc_code: 'OK' });
      return prometheusText(takeSnapshot(tx, settings()));
    });
    const found = readExposition(text).map(({ name, type, help }) => [name, type, help] as const);
    const expected = [
      ...Object.entries(COUNTERS).map(([name, { description }]) => [name, 'counter', description] as const),
      ...Object.entries(HISTOGRAMS).map(
        ([name, { description }]) => [name, 'histogram', description] as const,
      ),
      ...Object.entries(GAUGES)
        // Its files are not there.
        .filter(([name]) => name !== 'ocserv.certificate.expiry_timestamp_seconds')
        .map(([name, { description }]) => [name, 'gauge', description] as const),
    ].map(([name, type, help]) => [name.replaceAll('.', '_'), type, help]);
    assert.deepEqual(found, expected);
  });

  test('has no timestamps, which the textfile collector refuses, and no unit lines', async (t) => {
    const run = await ledger(t);
    const text = run(at(0), (tx) => prometheusText(takeSnapshot(tx, settings())));
    assert.doesNotMatch(text, /^# UNIT/m);
    // readExposition fails on a third column.
    assert.ok(readExposition(text).flatMap(({ samples }) => samples).length > 30);
  });

  test('shows what has no series yet not at all', async (t) => {
    const run = await ledger(t);
    const text = run(at(0), (tx) => prometheusText(takeSnapshot(tx, settings())));
    assert.doesNotMatch(text, /ocserv_certificate/);
    for (const { name, samples } of readExposition(text)) assert.ok(samples.length > 0, name);
  });

  test('says of the target nothing but what was asked for', async (t) => {
    const run = await ledger(t);
    const text = run(at(0), (tx) => prometheusText(takeSnapshot(tx, settings())));
    assert.doesNotMatch(text, /target_info|otel_scope|service_name/);
  });

  test('escapes whatever a label can hold, so that it reads back as it was', () => {
    const label = fc.string({
      unit: fc.oneof(fc.constantFrom('"', '\\', '\n', ',', '}', '=', ' '), fc.string()),
    });
    fc.assert(
      fc.property(label, label, (source, allowed) => {
        const points = [{ attributes: { source, allowed }, value: 7 }];
        const text = prometheusText(
          snapshotOf({
            counters: [{ name: 'ocserv.hook.decisions_total', ...DESCRIBED, points }],
            histograms: [],
          }),
        );
        assert.deepEqual(readExposition(text)[0]?.samples, [
          { name: 'ocserv_hook_decisions_total', labels: { source, allowed }, value: 7 },
        ]);
      }),
    );
  });

  test('has buckets that are cumulative, of which the last has all that were counted', () => {
    const buckets = fc.array(fc.nat(1_000), { minLength: BUCKETS.length + 1, maxLength: BUCKETS.length + 1 });
    fc.assert(
      fc.property(buckets, fc.double({ min: 0, max: 1e6, noNaN: true }), (counts, sum) => {
        const points = [{ attributes: { reason: 'connect' }, buckets: counts, sum }];
        const text = prometheusText(
          snapshotOf({
            counters: [],
            histograms: [{ name: 'ocserv.hook.duration', ...DESCRIBED, points }],
          }),
        );
        const samples = readExposition(text)[0]?.samples ?? [];
        const value = (suffix: string): number | undefined =>
          samples.find(({ name }) => name === `ocserv_hook_duration${suffix}`)?.value;
        const shown = samples.filter(({ name }) => name.endsWith('_bucket'));
        assert.deepEqual(
          shown.map(({ labels }) => labels['le']),
          [...BUCKETS.map(String), '+Inf'],
        );
        assert.deepEqual(
          shown.map((sample) => sample.value),
          counts.map((_, i) => counts.slice(0, i + 1).reduce((all, one) => all + one, 0)),
        );
        assert.equal(value('_count'), shown.at(-1)?.value);
        assert.equal(value('_sum'), sum);
        assert.ok(samples.every(({ labels }) => labels['reason'] === 'connect'));
      }),
    );
  });
});
