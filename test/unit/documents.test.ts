import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { BUCKETS, COUNTERS, GAUGES, HISTOGRAMS } from '../../src/metrics/catalogue.ts';

const document = (name: string): string =>
  readFileSync(join(import.meta.dirname, '..', '..', 'doc', name), 'utf8');

describe('doc/metrics.md', () => {
  const text = document('metrics.md');
  const rows = text.split('\n').filter((line) => line.startsWith('| `ocserv.'));
  const quoted = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
  const named = rows.flatMap((row) => {
    const [, names, kind = '', labels] = row.split('|');
    return quoted(names).map((name) => ({ name, kind: kind.trim(), labels: quoted(labels) }));
  });

  test('names every metric once, with its kind', () => {
    const kinds = new Map(named.map(({ name, kind }) => [name, kind.split(',')[0]]));
    assert.equal(kinds.size, named.length);
    const expected = new Map<string, string>([
      ...Object.keys(COUNTERS).map((name) => [name, 'counter'] as const),
      ...Object.keys(HISTOGRAMS).map((name) => [name, 'histogram'] as const),
      ...Object.keys(GAUGES).map((name) => [name, 'gauge'] as const),
    ]);
    assert.deepEqual(Object.fromEntries([...kinds].sort()), Object.fromEntries([...expected].sort()));
  });

  test('names the labels of every counter and histogram', () => {
    for (const [name, { series }] of Object.entries({ ...COUNTERS, ...HISTOGRAMS })) {
      const documented = named.find((row) => row.name === name)?.labels;
      assert.deepEqual(documented?.sort(), Object.keys(series[0] ?? {}).sort(), name);
    }
  });

  test('gives the bounds of the buckets', () => {
    assert.ok(text.includes(`${BUCKETS.join(', ')}.`));
  });
});
