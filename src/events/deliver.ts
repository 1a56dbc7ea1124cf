import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { Occtl } from '../ocserv/occtl.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { loadPortal } from '../portal/load.ts';
import { untilDone } from '../state/batches.ts';
import { takeLease } from '../state/drain.ts';
import { forgetWaits } from '../state/outbox.ts';
import type { State } from '../state/state.ts';
import { carryOut } from './carry-out.ts';
import { type DrainReport, drain } from './drain.ts';
import { noteCertificate } from './note-certificate.ts';

/** Something that is done beside the work, with its connection. It does not fail it, and may want it to stay when all is delivered. */
export type Along = (
  work: (isWanted: () => boolean) => Promise<DrainReport>,
  calls: PortalCalls,
) => Promise<DrainReport>;

export const NOTHING_ELSE: Along = (work) => work(() => false);

/**
 * Delivers as this process, if no other does.
 * @param how `along`: what else to do with the connection, as long as it is there.
 * @returns null when another process holds the lease: it delivers.
 */
export async function deliver(
  config: Config,
  state: State,
  log: Log,
  how: { readonly force: boolean; readonly linger: number; readonly along: Along },
): Promise<DrainReport | null> {
  const term = await state.step(takeLease);
  if (term === null) return null;
  await untilDone(state, (tx, atMost) => forgetWaits(tx, atMost, config.events.retry_max));
  // What talks to the portal is loaded here, once it is known that there is something to tell it.
  const { portalCalls } = await loadPortal(config);
  const calls = portalCalls(config, noteCertificate(state));
  const occtl = new Occtl(config.ocserv);
  const { force, linger, along } = how;
  const work = (isWanted: () => boolean): Promise<DrainReport> =>
    drain({
      config,
      state,
      log,
      term,
      calls,
      carryOut: (orders) => carryOut(orders, { occtl, state, log }),
      force,
      mayLeave: (idle) => idle >= linger && !isWanted(),
    });
  try {
    return await along(work, calls);
  } finally {
    calls.close();
  }
}
