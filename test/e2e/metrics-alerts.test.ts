import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';
import { type Alert, type MetricsStack, startMetricsStack, TARGET } from './metrics-stack.ts';
import { RULES } from './metrics-texts.ts';
import { noPrometheus } from './require-prometheus.ts';

/** The rules as they are, but nobody waits, and minutes that are looked back on are seconds. */
function impatient(rules: string): string {
  return rules
    .replace(/^( +for:) \d+m$/gm, '$1 0s')
    .replace(/^( +interval:) 1m$/gm, '$1 1s')
    .replaceAll('[10m]', '[4s]')
    .replaceAll('offset 15m', 'offset 6s');
}

/** Figures of a server where everything is wrong, and has happened `n` times. */
function everythingWrong(n: number): string {
  const now = Date.now() / 1_000;
  return `ocserv_portal_last_success_timestamp_seconds ${now - 900}
ocserv_portal_last_error_timestamp_seconds ${now}
ocserv_circuit_breaker_state 1
ocserv_hook_decisions_total{source="fail-open",allowed="true"} ${n}
ocserv_hook_decisions_total{source="fail-close",allowed="false"} ${n}
ocserv_hook_decisions_total{source="emergency",allowed="true"} ${n}
ocserv_hook_decisions_total{source="stale",allowed="true"} ${n}
ocserv_cache_hits_total 0
ocserv_cache_misses_total ${n}
ocserv_cache_stale_hits_total ${n}
ocserv_events_pending ${n}
ocserv_events_failed 3
ocserv_events_oldest_pending_seconds 4000
ocserv_events_dropped_total{type="update"} ${n}
ocserv_certificate_expiry_timestamp_seconds{certificate="agent"} ${now + 7 * 86_400}
ocserv_certificate_expiry_timestamp_seconds{certificate="ca"} ${now + 86_400}
ocserv_certificate_expiry_timestamp_seconds{certificate="portal"} ${now - 60}
ocserv_metrics_timestamp_seconds ${now - 400}
ocserv_maintain_last_run_timestamp_seconds ${now - 4_000}
ocserv_state_created_timestamp_seconds ${n}
`;
}

/** A rule is known by its name and severity: one name may stand for two. */
async function firing(stack: MetricsStack): Promise<{ rules: string[]; alerts: Alert[] }> {
  const all = (await stack.rules()).flatMap(({ rules }) => rules);
  return {
    rules: all.map(({ name, labels }) => `${name} ${labels['severity']}`),
    alerts: all.flatMap(({ alerts }) => alerts).filter(({ state }) => state === 'firing'),
  };
}

test('on a server where everything is wrong every alert fires, names the server and says it in whole words', {
  skip: noPrometheus,
  timeout: 90_000,
}, async (t) => {
  const folder = await createWorkFolder();
  t.after(() => folder.remove());
  const rules = join(folder.path, 'impatient.rules.yml');
  writeFileSync(rules, impatient(readFileSync(RULES, 'utf8')));
  await using stack = await startMetricsStack({ textfiles: folder.path, rules: [rules] });
  const file = join(folder.path, 'ocagent-hook.prom');

  const fired = new Map<string, Alert>();
  const silent = async (): Promise<string[]> => {
    const { rules, alerts } = await firing(stack);
    for (const alert of alerts) {
      fired.set(
        `${alert.labels['alertname']} ${alert.labels['severity']} ${alert.labels['certificate']}`,
        alert,
      );
    }
    const loud = [...fired.values()].map(({ labels }) => `${labels['alertname']} ${labels['severity']}`);
    return rules.filter((rule) => !loud.includes(rule));
  };

  const ONLY_WITHOUT_FIGURES = 'OcagentMetricsMissing warning';
  for (let n = 300; (await silent()).some((rule) => rule !== ONLY_WITHOUT_FIGURES); n += 300) {
    assert.ok(n < 12_000, `${await silent()} do not fire`);
    writeFileSync(`${file}.tmp`, everythingWrong(n));
    renameSync(`${file}.tmp`, file);
    await stack.until('ocserv_events_pending', ([sample]) => sample?.value === n);
  }
  assert.deepEqual(await silent(), [ONLY_WITHOUT_FIGURES]);
  rmSync(file);
  await stack.until('ALERTS{alertname="OcagentMetricsMissing"}');
  assert.deepEqual(await silent(), []);

  for (const [name, { labels, annotations }] of fired) {
    const { summary = '', description = '' } = annotations;
    assert.partialDeepStrictEqual(labels, TARGET, name);
    assert.ok(summary.includes(TARGET.instance), name);
    for (const text of [summary, description]) {
      assert.doesNotMatch(text, /error expanding|<no value>|%!|\{\{|NaN|Inf|\s{2}/, name);
      assert.match(text, /\S/, name);
    }
  }
  const certificates = [...fired.values()].flatMap(({ labels }) => labels['certificate'] ?? []);
  assert.deepEqual(certificates.sort(), ['agent', 'ca', 'portal']);
});
