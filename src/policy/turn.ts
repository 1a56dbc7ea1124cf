import { setTimeout as sleep } from 'node:timers/promises';
import { ahead, type Ticket } from '../state/portal-queue.ts';
import type { State } from '../state/state.ts';

/**
 * How many processes may ask the portal at once. Each needs some 60 ms of CPU for gRPC and TLS: of hundreds at once on
 * two cores none would be served in time, of this many all are, one after the other. A portal that takes its time is
 * not slowed down by it: that many calls can wait for it together.
 */
const AT_ONCE = 16;

/** About as long as one process' call keeps the machine busy: how soon a place may be free. */
const ONE_CALL_MS = 30;

/**
 * Waits until few enough are before us, at most `limit` milliseconds; then it is our turn all the same. It is a courtesy
 * among siblings before gRPC is loaded: whoever cannot see the queue simply goes.
 */
export async function waitForTurn(state: State, ticket: Ticket, limit: number): Promise<void> {
  const end = performance.now() + limit;
  for (let before = ticket.ahead; before >= AT_ONCE; ) {
    const left = end - performance.now();
    if (left <= 0) return;
    // Those further back look less often, so that the looking itself stays cheap.
    await sleep(Math.min(left, Math.max(ONE_CALL_MS / 2, ((before - AT_ONCE + 1) * ONE_CALL_MS) / 2)));
    const seen = state.look((tx) => ahead(tx, ticket.number));
    if (seen === null) return;
    before = seen;
  }
}
