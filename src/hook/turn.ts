/** Seconds, of which the launcher (bin/ocagent-hook) waits four times as many in all, the first time for a drain: far less than ocserv waits for a connect. */
const LONGEST = 10;
const TURNS = 4;

/**
 * Whole seconds that a hook may wait for a slot before it tries the next, whose process may have stopped. On a machine that is too small for
 * a storm it may wait for four. Its deadline counts from then (elapsed.ts). Pure.
 */
export function patienceFor(deadline: number): number {
  return Math.min(LONGEST, Math.floor(deadline / 2_000));
}

/** Milliseconds that a connect may take on a busy machine: its turn comes before its deadline. Pure. */
export function longestConnect(deadline: number): number {
  return TURNS * patienceFor(deadline) * 1_000 + deadline;
}
