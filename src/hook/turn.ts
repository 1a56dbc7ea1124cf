/** Seconds: far less than ocserv waits for a connect. */
const LONGEST = 10;

/** Seconds for which hooks on a busy machine wait for a drain that was started for them (bin/ocagent-hook). */
export const DRAIN_COMES_WITHIN = 2;
/** And for how many slots after that, and again after a drain that has come, and has given the call back. */
const TURNS = 3 + 3;

/**
 * Whole seconds that a hook may wait for a slot before it tries the next, whose process may have stopped. On a machine that is too small for
 * a storm it may wait for three. Its deadline counts from then (elapsed.ts). Pure.
 */
export function patienceFor(deadline: number): number {
  return Math.min(LONGEST, Math.floor(deadline / 2_000));
}

/** Milliseconds that a connect may take on a busy machine: its turn comes before its deadline. Pure. */
export function longestConnect(deadline: number): number {
  const patience = patienceFor(deadline);
  return (Math.min(DRAIN_COMES_WITHIN, patience) + TURNS * patience) * 1_000 + deadline;
}
