import { milliseconds } from '../state/clock.ts';
import { sleep } from '../state/patience.ts';
import { ahead, type Ticket } from '../state/portal-queue.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';

/**
 * How many processes may ask the portal at once, for each processor. Each needs some 60 ms of CPU for gRPC and TLS: of
 * hundreds at once none would be served in time, of this many all are, one after the other, and a portal that takes its
 * time still has enough of them to answer together.
 */
const AT_ONCE_PER_CPU = 4;

/** About as long as one process' call keeps the machine busy: how soon a place may be free. */
const ONE_CALL_MS = 30;

/**
 * Waits until few enough are before us, at most `limit` milliseconds; then it is our turn all the same. It is a courtesy
 * among siblings before gRPC is loaded: whoever cannot see the queue simply goes.
 * @returns whether there was anything to wait for.
 */
export async function waitForTurn(state: State, ticket: Ticket, limit: number): Promise<boolean> {
  const end = milliseconds() + limit;
  // Fetched, not imported: a cached connect never comes here.
  const atOnce = AT_ONCE_PER_CPU * process.getBuiltinModule('node:os').availableParallelism();
  for (let before = ticket.ahead; before >= atOnce; ) {
    const left = end - milliseconds();
    if (left <= 0) return true;
    // Those further back look less often, so that the looking itself stays cheap.
    await sleep(Math.min(left, Math.max(ONE_CALL_MS / 2, ((before - atOnce + 1) * ONE_CALL_MS) / 2)));
    try {
      before = await state.read((tx) => ahead(tx, ticket.number));
    } catch (error) {
      if (error instanceof StateUnusable) return true;
      throw error;
    }
  }
  return ticket.ahead >= atOnce;
}
