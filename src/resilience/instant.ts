/**
 * A moment as it is stored: wall time, which survives a reboot but can be set, and the kernel's monotonic
 * time, which cannot be set but starts over at each boot. Together they tell how old a row is although
 * somebody moved the clock (design: "Time").
 */
export interface Instant {
  /** Milliseconds since the Unix epoch, by the wall clock. */
  readonly wall: number;
  /** The kernel's boot id; `mono` of two boots cannot be compared. Empty where the kernel has none. */
  readonly boot: string;
  /** Milliseconds of CLOCK_MONOTONIC, within `boot`. */
  readonly mono: number;
}

/**
 * Milliseconds from `then` to `now`: the larger of both clocks' differences, so that a clock set back does not
 * make an old row young. Negative means that `then` lies in the future by every clock that can be compared.
 */
export function age(then: Instant, now: Instant): number {
  const wall = now.wall - then.wall;
  const comparable = then.boot !== '' && then.boot === now.boot;
  return comparable ? Math.max(wall, now.mono - then.mono) : wall;
}

/**
 * Whether `span` milliseconds have passed since `then`. A moment in the future counts as long past: it cannot be
 * trusted. One of an earlier boot is at least as old as this boot, whatever the wall clock says.
 */
export function hasPassed(span: number, then: Instant, now: Instant): boolean {
  const elapsed = age(then, now);
  const rebooted = then.boot !== '' && now.boot !== '' && then.boot !== now.boot;
  return elapsed < 0 || elapsed >= span || (rebooted && now.mono >= span);
}

/**
 * Whether a lease of `span` milliseconds, held by a process since `then`, is over. Only the monotonic clock counts, so that
 * setting the wall clock ends none early; a process of an earlier boot is dead.
 */
export function leaseIsOver(span: number, then: Instant, now: Instant): boolean {
  if (then.boot === '' || now.boot === '') return hasPassed(span, then, now);
  return then.boot !== now.boot || now.mono - then.mono >= span || now.mono < then.mono;
}

/** The smaller of both clocks' differences, in milliseconds: an age that a clock set forward cannot make too large. */
export function leastAge(then: Instant, now: Instant): number {
  const wall = now.wall - then.wall;
  return then.boot !== '' && then.boot === now.boot ? Math.min(wall, now.mono - then.mono) : wall;
}
