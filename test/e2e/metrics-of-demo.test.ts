import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { toolEnvironment } from '../../scripts/vpn/run.ts';
import { start } from '../../scripts/vpn/running.ts';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';
import { startMetricsStack, TARGET } from './metrics-stack.ts';
import { expressionsOf, RULES, readDashboard } from './metrics-texts.ts';
import { noPrometheus } from './require-prometheus.ts';

const DEMO = join(import.meta.dirname, '..', '..', 'scripts', 'demo', 'main.ts');

describe('a run of the demo, as Prometheus has scraped it', () => {
  test('has data for every query of the dashboard', { skip: noPrometheus, timeout: 90_000 }, async (t) => {
    const folder = await createWorkFolder();
    t.after(() => folder.remove());
    await using stack = await startMetricsStack({ textfiles: folder.path, rules: [RULES] });
    const file = join(folder.path, 'ocagent-hook.prom');
    const demo = await start([process.execPath, DEMO, '--metrics', file], { env: toolEnvironment() });
    t.after(async () => {
      if (demo.running) await demo.end('SIGTERM');
    });
    assert.equal((await demo.exited).status, 0, demo.log.text);
    // What it ended with has come as far as Prometheus.
    await stack.until('sum(ocserv_hook_decisions_total)', ([sample]) => sample?.value === 10);
    const without: string[] = [];
    for (const { panel, expr } of expressionsOf(readDashboard(), {
      instance: TARGET.instance,
      rateInterval: '5m',
    })) {
      const samples = await stack.query(expr);
      if (!samples.some(({ value }) => Number.isFinite(value))) without.push(`${panel}: ${expr}`);
    }
    assert.deepEqual(without, []);
  });
});
