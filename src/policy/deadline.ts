import type { Config } from '../config/schema.ts';
import { CUT_SHORT, invalidDecision } from './decision.ts';
import { concludeAlone, WITHOUT_STATE } from './steps.ts';
import type { Decision, Request } from './types.ts';

/** Milliseconds that all waits for the state together may take in a decision (design: "Never deaf"). */
export function statePatience({ hook }: Config): number {
  return Math.min(1_000, hook.deadline / 4);
}

/**
 * Milliseconds to look into the state that a process has which could begin only when its deadline had passed: of
 * hundreds at once on a machine that is too small for them, those that come last would be denied with their answer in the cache.
 */
const LEAST_MS = 250;

/**
 * Lets `deciding` decide until `hook.deadline`; after that the answer is the best that is known by then.
 * @param invalid why the request cannot be answered but with a denial; null when it is valid.
 * @param elapsed milliseconds since the deadline began to count.
 * @param deciding is given where to tell what it would decide so far.
 */
export async function byDeadline(
  request: Request,
  invalid: string | null,
  config: Config,
  elapsed: number,
  deciding: (know: (decision: Decision) => void) => Promise<Decision>,
): Promise<Decision> {
  let known =
    invalid === null
      ? concludeAlone(request, WITHOUT_STATE, { failure: CUT_SHORT }, { config, bypassCache: false })
      : invalidDecision(invalid);
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<Decision>((resolve) => {
    const left = config.hook.deadline - elapsed;
    timer = setTimeout(() => resolve(known), left > 0 ? left : LEAST_MS);
  });
  try {
    return await Promise.race([
      deciding((decision) => {
        known = decision;
      }),
      passed,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
