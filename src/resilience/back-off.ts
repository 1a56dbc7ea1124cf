/** Bounds of a wait between two tries, in milliseconds. */
export interface BackOffRules {
  readonly initial: number;
  readonly max: number;
}

/**
 * How long to wait after so many failures in a row: doubled each time, a quarter more or less so that many who
 * failed together do not come back together, and never outside of the bounds.
 * @param failures from 1.
 * @param random from 0 to 1, where 1 is excluded.
 * @returns whole milliseconds.
 */
export function backOff(failures: number, { initial, max }: BackOffRules, random: number): number {
  const nominal = initial * 2 ** Math.min(failures - 1, 40);
  const jittered = Math.min(nominal, max) * (0.75 + random / 2);
  return Math.round(Math.min(max, Math.max(initial, jittered)));
}
