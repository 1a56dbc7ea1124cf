import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { Occtl } from '../ocserv/occtl.ts';
import { loadSessionCalls } from '../portal/load.ts';
import { untilDone } from '../state/batches.ts';
import { takeLease } from '../state/drain.ts';
import { forgetWaits } from '../state/outbox.ts';
import type { State } from '../state/state.ts';
import { carryOut } from './carry-out.ts';
import { type DrainReport, drain } from './drain.ts';
import { noteCertificate } from './note-certificate.ts';

/**
 * Delivers as this process, if no other does.
 * @returns null when another process holds the lease: it delivers.
 */
export async function deliver(
  config: Config,
  state: State,
  log: Log,
  how: { readonly force: boolean; readonly linger: number },
): Promise<DrainReport | null> {
  const term = await state.step(takeLease);
  if (term === null) return null;
  await untilDone(state, (tx, atMost) => forgetWaits(tx, atMost, config.events.retry_max));
  // gRPC is loaded here, once it is known that there is something to do with it.
  const { sessionCalls } = await loadSessionCalls();
  const occtl = new Occtl(config.ocserv);
  return drain({
    config,
    state,
    log,
    term,
    calls: sessionCalls(config, noteCertificate(state)),
    carryOut: (orders) => carryOut(orders, { occtl, state, log }),
    ...how,
  });
}
