/** Seconds: far less than ocserv waits for a connect. */
const LONGEST = 10;

/** What the launcher waits for on a busy machine (bin/ocagent-hook): a drain, for so many seconds at most, and so many slots. */
const FOR_A_DRAIN = 2;
const SLOTS = 3;

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
  return (Math.min(FOR_A_DRAIN, patience) + SLOTS * patience) * 1_000 + deadline;
}
