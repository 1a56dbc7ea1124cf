import { type Goal, goalOf } from './goal.ts';
import { median, quantile, ratiosTo } from './statistics.ts';
import type { Table } from './table.ts';
import type { Cost } from './timed.ts';

/** A command of a table. */
export interface Row {
  readonly name: string;
  /** The ratios that it should not exceed. */
  readonly goal?: { readonly figure: string; readonly wall: number; readonly cpu?: number };
  /** Runs it once. */
  run(round: number): Promise<Cost>;
}

export interface Measured {
  readonly row: Row;
  /** By round. */
  readonly costs: readonly Cost[];
}

const WARM_UP = 3;

/**
 * Runs every command once in each round, in turn, so that a machine that gets slower meanwhile is slower for all; what
 * counts is the ratio to the first of the same round.
 */
export async function interleave(rows: readonly Row[], rounds: number): Promise<Measured[]> {
  const measured = rows.map((row) => ({ row, costs: [] as Cost[] }));
  for (let round = 0; round < WARM_UP + rounds; round++) {
    for (const { row, costs } of measured) {
      const cost = await row.run(round).catch((cause: unknown) => {
        throw new Error(`${row.name}, round ${round}`, { cause });
      });
      if (round >= WARM_UP) costs.push(cost);
    }
  }
  return measured;
}

/** Ratios to one row, the first if none is named: their median, and between what half of those in wall time lie. */
export function ratioTable(title: string, measured: readonly Measured[], base = measured[0]): Table {
  return {
    title,
    columns: ['whole process', 'wall ms', '×', '25 %', '75 %', 'CPU ms', '×', 'goal'],
    rows: measured.map(({ row: { name, goal }, costs }) => {
      const wall = ratiosOf('wall', base, costs);
      return [
        name,
        median(costs.map((cost) => cost.wall)).toFixed(1),
        median(wall).toFixed(2),
        quantile(wall, 0.25).toFixed(2),
        quantile(wall, 0.75).toFixed(2),
        median(costs.map((cost) => cost.cpu)).toFixed(1),
        median(ratiosOf('cpu', base, costs)).toFixed(2),
        goal === undefined ? '' : `≤ ${goal.wall.toFixed(2)}`,
      ];
    }),
  };
}

export function ratioGoals(measured: readonly Measured[]): Goal[] {
  const [base] = measured;
  return measured.flatMap(({ row: { goal }, costs }) => {
    if (goal === undefined) return [];
    const wall = median(ratiosOf('wall', base, costs));
    const cpu = median(ratiosOf('cpu', base, costs));
    return [
      goalOf(
        goal.figure,
        goal.cpu === undefined ? `≤ ${goal.wall} ×` : `≤ ${goal.wall} × wall, ≤ ${goal.cpu} × CPU`,
        `${wall.toFixed(2)} × wall, ${cpu.toFixed(2)} × CPU`,
        wall <= goal.wall && cpu <= (goal.cpu ?? Number.POSITIVE_INFINITY),
      ),
    ];
  });
}

function ratiosOf(what: keyof Cost, base: Measured | undefined, costs: readonly Cost[]): number[] {
  return ratiosTo(
    base?.costs.map((cost) => cost[what]) ?? [],
    costs.map((cost) => cost[what]),
  );
}
