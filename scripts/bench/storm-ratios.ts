import { median, ratiosTo } from './statistics.ts';
import type { Storm } from './storm.ts';

/** MiB at the peak, beyond what as many empty scripts took in the same round. */
export function memoryBeyond(
  what: 'anonymous' | 'machine',
  base: readonly Storm[],
  storms: readonly Storm[],
): number {
  return median(storms.map(({ peak }, round) => peak[what] - (base[round]?.peak[what] ?? Number.NaN)));
}

/** By round. */
export function rateRatios(base: readonly Storm[], storms: readonly Storm[]): number[] {
  return ratiosTo(
    base.map(({ rate }) => rate),
    storms.map(({ rate }) => rate),
  );
}

export function sum<T>(storms: readonly T[], what: (one: T) => number): number {
  return storms.reduce((total, one) => total + what(one), 0);
}
