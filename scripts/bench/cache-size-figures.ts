import type { Found } from './bench.ts';
import type { CacheSteps } from './cache-steps.ts';
import { type Goal, goalOf } from './goal.ts';
import { type Measured, ratioTable } from './measure.ts';
import { median, ratiosTo } from './statistics.ts';
import type { Cost } from './timed.ts';

/** Beyond what the smallest cache differs from itself: less cannot be told on a busy machine. */
const NOISE = 0.05;

/** @param cached and `inserted`: the smallest size first, then the same again, then the larger ones. */
export function cacheSizeFigures(
  cached: readonly Measured[],
  inserted: readonly Measured[],
  steps: ReadonlyMap<string, CacheSteps>,
): Found {
  return {
    tables: [
      ratioTable('Cached connect, by the size of the cache', cached),
      ratioTable('Portal connect of a new user in a full cache, by its size', inserted),
      {
        title: "The cache's transactions alone, by its size",
        columns: ['µs', 'hit', 'insert with eviction'],
        rows: [...steps].map(([name, { hit, insert }]) => [name, hit.toFixed(0), insert.toFixed(0)]),
        notes: ['Medians, in one process.'],
      },
    ],
    goals: [sizeGoal('cached connect', cached), sizeGoal('insert with eviction (portal connect)', inserted)],
  };
}

function sizeGoal(what: string, measured: readonly Measured[]): Goal {
  const names = measured.slice(2).map(({ row }) => row.name);
  const wall = spread(measured, 'wall');
  const cpu = spread(measured, 'cpu');
  return goalOf(
    `${what}, cache of 10, ${names.join(' and ')} entries`,
    'equal within noise',
    `against that of 10: ${said(wall)} wall, ${said(cpu)} CPU`,
    isEqual(wall) && isEqual(cpu),
  );
}

/** Ratios to the smallest. */
interface Spread {
  /** Of the same once more. */
  readonly again: number;
  readonly larger: readonly number[];
}

function spread(measured: readonly Measured[], what: keyof Cost): Spread {
  const costs = measured.map((one) => one.costs.map((cost) => cost[what]));
  const [, again = Number.NaN, ...larger] = costs.map((own) => median(ratiosTo(costs[0] ?? [], own)));
  return { again, larger };
}

function said({ again, larger }: Spread): string {
  return `${larger.map((ratio) => `${ratio.toFixed(2)} ×`).join(' and ')} (10 again ${again.toFixed(2)} ×)`;
}

function isEqual({ again, larger }: Spread): boolean {
  return larger.every((ratio) => ratio <= Math.max(again, 1 / again) + NOISE);
}
