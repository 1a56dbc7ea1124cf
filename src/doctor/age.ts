/** Two looks at one clock may differ by that; past it the clock was set back in between. */
const JITTER_MS = 60_000;

/** Milliseconds, never less than none. */
export type Age = number | 'in the future';

/** How long ago something was. Both are wall milliseconds. */
export function ageOf(at: number, now: number): Age {
  return at > now + JITTER_MS ? 'in the future' : Math.max(0, now - at);
}
