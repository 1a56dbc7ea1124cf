import type { Config } from '../config/schema.ts';
import { outOfTime } from '../policy/out-of-time.ts';
import type { PortalResult, Request } from '../policy/types.ts';
import type { WaitLimits } from '../policy/way.ts';
import type { PortalCalls } from './calls.ts';

/** Milliseconds of the deadline that are left for recording the answer and leaving. */
export const RESERVE_MS = 500;

/** With less than this left even a machine with time to spare cannot load what talks to the portal and connect. */
const LEAST_MS = 50;

/**
 * Until when a sibling's call may be waited for: until it is taken, as long as a whole portal.timeout is left for a call of one's own,
 * or, where the deadline is too short for both, a third of the time.
 * @param elapsed milliseconds since the deadline began to count.
 * @param now monotonic milliseconds.
 */
export function waitLimits({ portal, hook }: Config, elapsed: number, now: number): WaitLimits {
  const left = Math.max(0, hook.deadline - RESERVE_MS - elapsed);
  const takenBy = now + Math.max(left - portal.timeout, left / 3);
  return { takenBy: Math.floor(takenBy), answeredBy: Math.floor(now + left) };
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
 * Asks the portal within what is left of the deadline.
 * @param elapsed milliseconds since the deadline began to count.
 * @param atMost milliseconds that the call may take, whatever else is left.
 * @param connect makes the connection, or gives the one that there is. Whoever gives it closes it.
 */
export async function askPortal(
  config: Config,
  request: Request,
  elapsed: number,
  atMost: number,
  connect: () => Promise<PortalCalls>,
): Promise<PortalResult> {
  const { budget, nominal } = callTime(config, config.hook.deadline - RESERVE_MS - elapsed, atMost);
  if (budget < LEAST_MS) return { failure: outOfTime(`${Math.round(elapsed)} ms since the start`) };
  const calls = await connect();
  return calls.checkPolicy(request, budget, nominal);
}
