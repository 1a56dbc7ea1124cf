import type { Config } from '../config/schema.ts';
import type { PortalResult, Request } from '../policy/types.ts';

/** Milliseconds of the deadline that are left for recording the answer and leaving. */
const RESERVE_MS = 500;

/**
 * Asks the portal within what is left of the deadline. gRPC is loaded here and nowhere else in a hook: half of a
 * portal connect's time is spent on loading it, and a cached connect must not pay for it.
 * @param elapsed milliseconds since the deadline began to count.
 */
export async function askPortal(config: Config, request: Request, elapsed: number): Promise<PortalResult> {
  const nominal = Math.min(config.portal.timeout, config.hook.deadline - RESERVE_MS);
  const budget = Math.min(config.portal.timeout, config.hook.deadline - RESERVE_MS - elapsed);
  if (budget <= 0) {
    return {
      failure: {
        code: 'DEADLINE_EXCEEDED',
        detail: `hook.deadline was used up before the portal could be asked (${Math.round(elapsed)} ms since the start)`,
        cure: 'this machine is too busy for hook.deadline, or the disk of state.path is too slow',
        counts: 'no',
        misconfigured: false,
      },
    };
  }
  const { checkPolicy } = await import('./check-policy.ts');
  return checkPolicy(config, request, budget, nominal);
}
