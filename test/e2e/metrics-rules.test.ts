import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { run, toolEnvironment } from '../../scripts/vpn/run.ts';
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../src/metrics/catalogue.ts';
import { METRICS, OF_THE_TARGET, underscored } from './metrics-names.ts';
import { labelsInLegend, labelsNamedIn, RULES, readDashboard, selectorsIn } from './metrics-texts.ts';
import { noPrometheus } from './require-prometheus.ts';

const FOLDER = join(RULES, '..');
const rules = readFileSync(RULES, 'utf8');
const dashboard = readDashboard();
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const targets = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

describe('the alert rules', () => {
  const limits = { skip: noPrometheus, timeout: 60_000 };
  const promtool = (...args: string[]) =>
    run(['promtool', ...args], { env: toolEnvironment(), timeout: 30_000 });

  test('are rules, for promtool', limits, async () => {
    const { status, stdout, stderr } = await promtool('check', 'rules', RULES);
    assert.equal(status, 0, stdout + stderr);
  });

  test('fire when they should, and only then', limits, async () => {
    const tests = globSync('*.test.yml', { cwd: FOLDER });
    assert.notEqual(tests.length, 0);
    const { status, stdout, stderr } = await promtool(
      'test',
      'rules',
      ...tests.map((file) => join(FOLDER, file)),
    );
    assert.equal(status, 0, stdout + stderr);
  });

  test('are each tested', () => {
    const alerts = new Set([...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name));
    assert.notEqual(alerts.size, 0);
    const tested = globSync('*.test.yml', { cwd: FOLDER }).map((file) =>
      readFileSync(join(FOLDER, file), 'utf8'),
    );
    assert.deepEqual(
      [...alerts].filter((name) => !tested.some((text) => text.includes(name))),
      [],
    );
  });

  test('say with which severity, what it means, and which command helps', () => {
    for (const rule of rules.split(/^ {6}- alert: /m).slice(1)) {
      const name = rule.slice(0, rule.indexOf('\n'));
      assert.match(rule, /^ {10}severity: (critical|warning|info)$/m, name);
      if (/annotations: \*\w+$/m.test(rule)) continue;
      assert.match(rule, /^ {10}summary: .*/m, name);
      assert.match(rule, /^ {10}description: >-\n[\s\S]*`ocagent-hook /m, name);
    }
  });
});

describe('what alert rules and dashboard ask for', () => {
  const asked = [
    ...selectorsIn(rules).map((selector) => ({ where: 'the rules', ...selector })),
    ...targets.flatMap(({ title, expr }) =>
      selectorsIn(expr).map((selector) => ({ where: title, ...selector })),
    ),
    ...selectorsIn(JSON.stringify(dashboard)).map(({ name }) => ({
      where: 'the dashboard',
      name,
      matchers: [],
    })),
  ];

  test('are metrics of the catalogue', () => {
    assert.ok(asked.length > 50);
    assert.deepEqual(
      asked.filter(({ name }) => !METRICS.has(name)),
      [],
    );
  });

  test('is every metric of the catalogue, in the dashboard', () => {
    const shown = JSON.stringify(dashboard);
    const names = [COUNTERS, HISTOGRAMS, GAUGES].flatMap((metrics) => Object.keys(metrics)).map(underscored);
    assert.deepEqual(
      names.filter((name) => !shown.includes(name)),
      [],
    );
  });

  test('are labels that the metric has', () => {
    for (const { where, name, matchers } of asked) {
      for (const { label } of matchers) {
        assert.ok(
          [...(METRICS.get(name) ?? []), ...OF_THE_TARGET].includes(label),
          `${where}: ${name}{${label}}`,
        );
      }
    }
  });

  test('are values that the label may have', () => {
    for (const { where, name, matchers } of asked) {
      const counter = Object.entries(COUNTERS).find(([dotted]) => underscored(dotted) === name)?.[1];
      for (const { label, value } of matchers) {
        if (counter === undefined || OF_THE_TARGET.includes(label)) continue;
        const known = new Set(
          counter.series.map((series: Readonly<Record<string, string>>) => series[label]),
        );
        for (const one of value.split('|')) assert.ok(known.has(one), `${where}: ${name}{${label}="${one}"}`);
      }
    }
  });

  test('are labels of the same metrics where series are added up or named', () => {
    for (const { title, expr, legendFormat = '' } of targets) {
      const known = [...selectorsIn(expr).flatMap(({ name }) => METRICS.get(name) ?? []), ...OF_THE_TARGET];
      for (const label of [...labelsNamedIn(expr), ...labelsInLegend(legendFormat)]) {
        assert.ok(known.includes(label), `${title}: ${label}`);
      }
    }
    for (const rule of rules.split(/^ {6}- alert: /m).slice(1)) {
      const known = [...selectorsIn(rule).flatMap(({ name }) => METRICS.get(name) ?? []), ...OF_THE_TARGET];
      for (const label of labelsNamedIn(rule)) assert.ok(known.includes(label), `${label} in ${rule}`);
    }
  });
});
