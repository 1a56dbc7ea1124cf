/**
 * The portal of the bench: its parent asks it what it has seen. Not scripts/portal/main.ts, whose --log would slow down whoever
 * calls it, and which does not tell its connections.
 */
import type { PortalCall } from '../portal/calls.ts';
import { startPortal } from '../portal/portal.ts';
import { portalPolicy } from './population.ts';

/** Said once, when it listens. */
export interface Hello {
  readonly address: string;
}

/** Asks for a tally once that many events were taken, or it has waited long enough for them. */
export interface Ask {
  readonly taken: number;
  readonly patience: number;
}

/** What it has seen since the last tally. */
export interface Tally {
  /** Events that it took. */
  readonly taken: number;
  /** Milliseconds from the first arrival to the last. */
  readonly span: number;
  readonly connections: number;
  readonly handshakes: number;
}

const [certificates = ''] = process.argv.slice(2);
const portal = await startPortal({ certificates, policy: portalPolicy() });
let counted = { accepted: 0, handshakes: 0 };
// A parent that was killed must not leave it behind.
process.on('disconnect', () => process.exit());
process.on('message', async ({ taken, patience }: Ask) => {
  await portal
    .until(() => portal.calls.filter(isTaken).length >= taken, `${taken} events`, patience)
    .catch(() => {});
  const { calls, connections } = portal;
  const arrivals = calls.map(({ arrivedAt }) => arrivedAt.getTime());
  process.send?.({
    taken: calls.filter(isTaken).length,
    span: (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0),
    connections: connections.accepted - counted.accepted,
    handshakes: connections.handshakes - counted.handshakes,
  } satisfies Tally);
  counted = { ...connections };
  portal.forget();
});
process.send?.({ address: portal.address } satisfies Hello);

function isTaken({ answer }: PortalCall): boolean {
  const response = answer?.response;
  return response !== undefined && 'success' in response && response.success;
}
