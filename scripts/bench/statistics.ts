/** Of one value a round: pure. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param share from 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** To the base of the same round: what slows a machine down for a while slows down both. */
export function ratiosTo(base: readonly number[], values: readonly number[]): number[] {
  return values.map((value, round) => value / (base[round] ?? Number.NaN));
}
