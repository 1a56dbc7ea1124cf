import assert from 'node:assert/strict';
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createWorkFolder, type WorkFolder } from '../../scripts/vpn/work-folder.ts';
import { isAlive } from '../../src/state/process.ts';
import { type MetricsStack, startMetricsStack, TARGET } from './metrics-stack.ts';
import { RULES } from './metrics-texts.ts';
import { noPrometheus } from './require-prometheus.ts';

const limits = { skip: noPrometheus, timeout: 60_000 };

describe('Prometheus with node_exporter, as the other tests of metrics use them', () => {
  let folder: WorkFolder;
  let stack: MetricsStack;

  /** As `metrics show --output` does: whole or not at all. */
  function write(text: string): void {
    const aside = join(folder.path, 'aside.tmp');
    writeFileSync(aside, text);
    renameSync(aside, join(folder.path, 'one.prom'));
  }

  before(async () => {
    if (noPrometheus !== false) return;
    folder = await createWorkFolder();
    stack = await startMetricsStack({ textfiles: folder.path, rules: [RULES] });
  });
  after(async () => {
    await stack?.[Symbol.asyncDispose]();
    await folder?.remove();
  });

  test(
    'node_exporter serves what is written into the folder, and of this machine nothing',
    limits,
    async () => {
      write('# TYPE ocserv_events_pending gauge\nocserv_events_pending 7\n');
      const text = await stack.exposed();
      assert.match(text, /^ocserv_events_pending 7$/m);
      assert.doesNotMatch(text, /^(?!node_textfile_|node_scrape_|node_exporter_|promhttp_|ocserv_|#).+/m);
    },
  );

  test('Prometheus has it a scrape later, with the labels of the target', limits, async () => {
    write('ocserv_events_pending 8\n');
    const samples = await stack.until('ocserv_events_pending', ([sample]) => sample?.value === 8);
    assert.deepEqual(samples, [{ labels: { __name__: 'ocserv_events_pending', ...TARGET }, value: 8 }]);
  });

  test('Prometheus sees a counter rise, and then has a rate of it', limits, async () => {
    write('# TYPE x_total counter\nx_total 1\n');
    await stack.until('x_total');
    write('# TYPE x_total counter\nx_total 5\n');
    const [sample] = await stack.until('rate(x_total[30s])', ([rate]) => (rate?.value ?? 0) > 0);
    assert.deepEqual(sample?.labels, TARGET);
  });

  test('an expression that Prometheus does not understand is an error with its words', limits, async () => {
    await assert.rejects(stack.query('sum by ('), /parse error/);
  });

  test('what never comes true is said after a bounded time, with the last answer', limits, async () => {
    await assert.rejects(
      stack.until('vector(3)', ([sample]) => sample?.value === 4, 300),
      /vector\(3\) is still .*3.* after 300 ms/,
    );
  });

  test('every rule is loaded, and evaluated without a complaint', limits, async () => {
    const groups = await stack.rules();
    assert.deepEqual(
      groups.map(({ file }) => file),
      groups.map(() => RULES),
    );
    const rules = groups.flatMap(({ rules }) => rules);
    assert.ok(rules.length > 10);
    // Not all have been evaluated: that is once a minute.
    for (const { name, query, lastError = '' } of rules) {
      assert.equal(lastError, '', name);
      await stack.query(query);
    }
  });

  test('nothing is left of them afterwards', limits, async () => {
    const other = await startMetricsStack({ textfiles: folder.path, rules: [] });
    assert.equal(other.pids.length, 2);
    assert.ok(other.pids.every(isAlive));
    await other[Symbol.asyncDispose]();
    assert.ok(!other.pids.some(isAlive));
    assert.equal(existsSync(other.folder), false);
  });
});
