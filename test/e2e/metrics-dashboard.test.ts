import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { defaultDashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { run } from '../../scripts/vpn/run.ts';
import { readDashboard } from './metrics-texts.ts';

const dashboard = readDashboard();
const panels = dashboard.panels.filter(({ type }) => type !== 'row');
const targets = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));

describe('the dashboard', () => {
  test('is what its generator makes', async () => {
    const generator = join(import.meta.dirname, '..', '..', 'scripts', 'deploy', 'dashboard.ts');
    const { status, stderr } = await run([process.execPath, generator, '--check'], { timeout: 30_000 });
    assert.equal(status, 0, stderr);
  });

  test('has the schema of the SDK that generates it', () => {
    assert.equal(dashboard.schemaVersion, defaultDashboard().schemaVersion);
  });

  test('tells of each panel in which unit it is and how to read it', () => {
    assert.ok(panels.length > 20);
    for (const { title, description = '', fieldConfig } of panels) {
      assert.notEqual(title, '');
      assert.ok(description.length > 80, title);
      assert.ok(fieldConfig?.defaults.unit, title);
    }
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
  });

  test('asks for rates over several of the minutes in which the figures change', () => {
    for (const { title, expr, interval } of targets) {
      if (expr.includes('$__rate_interval')) assert.equal(interval, '1m', title);
    }
  });

  test('has panels of different ids that lie within the grid and on no other', () => {
    const all = dashboard.panels;
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
    const cells = new Set<string>();
    for (const { title, gridPos } of all) {
      assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!cells.has(`${x},${y}`), `${title} lies on another panel`);
          cells.add(`${x},${y}`);
        }
      }
    }
  });

  test('has queries of different names within a panel, and links to nowhere', () => {
    for (const { title, targets = [] } of panels) {
      assert.ok(targets.length > 0, title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    }
    assert.doesNotMatch(JSON.stringify(dashboard), /https?:\/\//);
  });
});
