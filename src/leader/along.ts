import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { portalOf } from '../policy/rules.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { leaderOf, takeLead } from '../state/leader.ts';
import { CHECKPOINT_PAGES, State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { rouse, sleepUntilWoken } from '../state/wake.ts';
import { Server } from './serve.ts';

/** How often it is looked whether somebody leads. */
const LOOK_MS = 250;
/** In all the minutes that a drain may be there. */
const PATIENCE_MS = 10 * 60_000;

/**
 * Leads beside some work that has a connection to the portal anyway: while a drain is there, no hook needs one of its own. It neither
 * fails the work nor outlasts it by more than the calls that are on their way.
 */
export async function leadAlong<T>(
  work: () => Promise<T>,
  config: Config,
  calls: PortalCalls,
  log: Log,
): Promise<T> {
  const during = { isOver: false };
  const leading = lead(config, calls, during).catch((error: unknown) =>
    log.warn('the portal cannot be asked for connects', { error: (error as Error).message }),
  );
  try {
    return await work();
  } finally {
    during.isOver = true;
    rouse();
    await leading;
  }
}

/** One term: a leader that was given up, because the portal failed or it was silent for too long, does not try again. */
async function lead(config: Config, calls: PortalCalls, work: { readonly isOver: boolean }): Promise<void> {
  const state = await State.open({
    path: config.state.path,
    create: false,
    patience: PATIENCE_MS,
    durable: false,
    checkpointPages: CHECKPOINT_PAGES,
    onSetAside: () => {},
  });
  const portal = portalOf(config);
  const tryToLead = (tx: Transaction): number | null =>
    tx.writable && leaderOf(tx, portal) === null ? takeLead(tx, portal) : null;
  while (!work.isOver) {
    const term = await state.step(tryToLead);
    if (term !== null) return new Server({ config, state, term, calls, mayLeave: () => work.isOver }).serve();
    await sleepUntilWoken(LOOK_MS);
  }
}
