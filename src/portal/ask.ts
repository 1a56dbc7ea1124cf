import type { Config } from '../config/schema.ts';
import type { PortalResult, Request } from '../policy/types.ts';

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
 * Asks the portal within what is left of the deadline. gRPC is loaded here and nowhere else in a hook: half of a
 * portal connect's time is spent on loading it, and a cached connect must not pay for it.
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
  acceptNodesOwnCodeCache();
  const { checkPolicy } = await import('./check-policy.ts');
  return checkPolicy(config, request, budget, nominal);
}

/**
 * Node's built-in modules (tls, http2) come with a code cache of their own, made under V8's default flags: the launcher's
 * --no-rehash-snapshot makes V8 reject it, which would cost a portal call 15 ms. The flag has done its work by now.
 */
function acceptNodesOwnCodeCache(): void {
  // Fetched, not imported: the module is heavy, and a cached connect never comes here.
  process.getBuiltinModule('node:v8').setFlagsFromString('--rehash-snapshot');
}
