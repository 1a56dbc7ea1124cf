import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A command of a table. */
export interface Row {
  readonly name: string;
  /** The ratio that it should not exceed. */
  readonly goal?: number;
  /** Runs it once. @returns milliseconds from start to exit. */
  run(round: number): Promise<number>;
}

export interface Measured {
  readonly row: Row;
  /** Milliseconds, by round. */
  readonly times: readonly number[];
}

const WARM_UP = 3;

/**
 * Runs every command once in each round, in turn, so that a machine that gets slower meanwhile is slower for all; what
 * counts is the ratio to the first of the same round.
 */
export async function interleave(rows: readonly Row[], rounds: number): Promise<Measured[]> {
  const measured = rows.map((row) => ({ row, times: [] as number[] }));
  for (let round = 0; round < WARM_UP + rounds; round++) {
    for (const { row, times } of measured) {
      const time = await row.run(round).catch((cause: unknown) => {
        throw new Error(`${row.name}, round ${round}`, { cause });
      });
      if (round >= WARM_UP) times.push(time);
    }
  }
  return measured;
}

/** Prints a table of ratios to its first row: their median, and between what half of them lie. */
export function printRatios(measured: readonly Measured[]): void {
  const width = Math.max(...measured.map(({ row }) => row.name.length), 'whole process, wall'.length) + 1;
  const line = (name: string, ...cells: string[]): void =>
    console.log(`${name.padEnd(width)}${cells.map((cell) => cell.padStart(10)).join('')}`.trimEnd());
  line('whole process, wall', 'median ms', '× empty', 'goal', '25 %', '75 %');
  const base = measured[0]?.times ?? [];
  for (const { row, times } of measured) {
    const ratios = ratiosTo(base, times);
    line(
      row.name,
      median(times).toFixed(1),
      median(ratios).toFixed(2),
      row.goal === undefined ? '' : `≤ ${row.goal}`,
      quantile(ratios, 0.25).toFixed(2),
      quantile(ratios, 0.75).toFixed(2),
    );
  }
}

/**
 * Runs a command that must end with status 0.
 * @param errors where its stderr goes.
 * @returns milliseconds from start to exit.
 */
export async function timed(
  [program, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
  errors: 'ignore' | 'inherit' = 'ignore',
): Promise<number> {
  const began = performance.now();
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', errors],
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  const took = performance.now() - began;
  if (code !== 0) {
    const command = [program, ...args].join(' ');
    throw new Error(`${command} ended with ${code ?? signal}: a bench of something that fails tells nothing`);
  }
  return took;
}

export function ratiosTo(base: readonly number[], values: readonly number[]): number[] {
  return values.map((value, round) => value / (base[round] ?? Number.NaN));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
