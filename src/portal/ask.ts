import type { Config } from '../config/schema.ts';
import type { Failure, PortalResult, Request } from '../policy/types.ts';
import type { WaitLimits } from '../policy/way.ts';
import type { PolicyLine } from './policy-line.ts';

/** Milliseconds of the deadline that are left for recording the answer and leaving. */
const RESERVE_MS = 500;

/**
 * Until when a sibling's call may be waited for: until it is taken, as long as a whole portal.timeout is left for a call of one's own,
 * or, where the deadline is too short for both, a third of the time.
 * @param elapsed milliseconds since the deadline began to count.
 * @param now monotonic milliseconds.
 */
export function waitLimits({ portal, hook }: Config, elapsed: number, now: number): WaitLimits {
  const left = Math.max(0, hook.deadline - RESERVE_MS - elapsed);
  return { takenBy: now + Math.max(left - portal.timeout, left / 3), answeredBy: now + left };
}

/**
 * What a call may take. Milliseconds both; `nominal` is what it would have on a machine with time to spare.
 * @param left until the deadline.
 * @param atMost that it may take, whatever else is left.
 */
export function callTime(
  { portal, hook }: Config,
  left: number,
  atMost = Number.POSITIVE_INFINITY,
): { budget: number; nominal: number } {
  const nominal = Math.min(portal.timeout, hook.deadline - RESERVE_MS);
  return { budget: Math.min(portal.timeout, left, atMost), nominal };
}

/**
 * Asks the portal within what is left of the deadline. gRPC is loaded here and nowhere else in a hook: half of a
 * portal connect's time is spent on loading it, and a cached connect must not pay for it.
 * @param elapsed milliseconds since the deadline began to count.
 * @param atMost milliseconds that the call may take, whatever else is left.
 * @param onLine is given the line once it is there; whoever wants it to stay says so by true, and closes it.
 */
export async function askPortal(
  config: Config,
  request: Request,
  elapsed: number,
  atMost: number,
  onLine: (line: PolicyLine) => boolean = () => false,
): Promise<PortalResult> {
  const { budget, nominal } = callTime(config, config.hook.deadline - RESERVE_MS - elapsed, atMost);
  if (budget <= 0) return { failure: outOfTime(`${Math.round(elapsed)} ms since the start`) };
  acceptNodesOwnCodeCache();
  const { policyLine } = await import('./policy-line.ts');
  const line = policyLine(config);
  const keep = onLine(line);
  const result = await line.check(request, budget, nominal);
  if (!keep) line.close();
  return result;
}

/** This machine was too slow, so nothing is known of the portal. */
export function outOfTime(when: string): Failure {
  return {
    code: 'DEADLINE_EXCEEDED',
    detail: `the time was used up before the portal could be asked (${when})`,
    cure: 'this machine is too busy for hook.deadline, or the disk of state.path is too slow',
    counts: 'no',
    misconfigured: false,
  };
}

/**
 * Node's built-in modules (tls, http2) come with a code cache of their own, made under V8's default flags: the launcher's
 * --no-rehash-snapshot makes V8 reject it, which would cost a portal call 15 ms. The flag has done its work by now.
 */
function acceptNodesOwnCodeCache(): void {
  // Fetched, not imported: the module is heavy, and a cached connect never comes here.
  process.getBuiltinModule('node:v8').setFlagsFromString('--rehash-snapshot');
}
