/**
 * The portal of the bench: its parent asks it what it has seen. Not scripts/portal/main.ts, whose --log would slow down whoever
 * calls it, and which does not tell its connections.
 */
import { startPortal } from '../portal/portal.ts';

/** Said once, when it listens. */
export interface Hello {
  readonly address: string;
}

/** What it has seen since the last tally. */
export interface Tally {
  readonly calls: number;
  /** Events that it took. */
  readonly taken: number;
  /** Milliseconds from the first arrival to the last. */
  readonly span: number;
  readonly connections: number;
}

const [certificates = ''] = process.argv.slice(2);
const portal = await startPortal({ certificates, policy: { default: { allowed: true } } });
let counted = 0;
// A parent that was killed must not leave it behind.
process.on('disconnect', () => process.exit());
process.on('message', () => {
  const { calls, connections } = portal;
  const arrivals = calls.map(({ arrivedAt }) => arrivedAt.getTime());
  const response = calls.map(({ answer }) => answer?.response);
  process.send?.({
    calls: calls.length,
    taken: response.filter((given) => given !== undefined && 'success' in given && given.success).length,
    span: (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0),
    connections: connections.accepted - counted,
  } satisfies Tally);
  counted = connections.accepted;
  portal.forget();
});
process.send?.({ address: portal.address } satisfies Hello);
