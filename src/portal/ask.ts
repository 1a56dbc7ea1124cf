import type { Config } from '../config/schema.ts';
import type { PortalResult, Request } from '../policy/types.ts';
import { loadCheckPolicy } from './load.ts';

/** Milliseconds of the deadline that are left for recording the answer and leaving. */
const RESERVE_MS = 500;

/**
 * Milliseconds that may pass before the portal is asked, with its whole portal.timeout still left after them.
 * @param elapsed milliseconds since the deadline began to count.
 */
export function timeBeforeAsking({ portal, hook }: Config, elapsed: number): number {
  return Math.max(0, hook.deadline - RESERVE_MS - portal.timeout - elapsed);
}

/**
 * Asks the portal within what is left of the deadline.
 * @param elapsed milliseconds since the deadline began to count.
 * @param atMost milliseconds that the call may take, whatever else is left.
 */
export async function askPortal(
  config: Config,
  request: Request,
  elapsed: number,
  atMost: number,
): Promise<PortalResult> {
  const nominal = Math.min(config.portal.timeout, config.hook.deadline - RESERVE_MS);
  const budget = Math.min(config.portal.timeout, config.hook.deadline - RESERVE_MS - elapsed, atMost);
  if (budget <= 0) {
    return {
      failure: {
        code: 'DEADLINE_EXCEEDED',
        detail: `the time was used up before the portal could be asked (${Math.round(elapsed)} ms since the start)`,
        cure: 'this machine is too busy for hook.deadline, or the disk of state.path is too slow',
        counts: 'no',
        misconfigured: false,
      },
    };
  }
  const { checkPolicy } = await loadCheckPolicy();
  return checkPolicy(config, request, budget, nominal);
}
