import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import { untilDone } from '../state/batches.ts';
import { forgetDrainWait } from '../state/drain.ts';
import { forgetOrderWaits } from '../state/orders.ts';
import { forgetWaits, lastSeq, untriedCount } from '../state/outbox.ts';
import { sleep } from '../state/patience.ts';
import type { State } from '../state/state.ts';
import { deliver, NOTHING_ELSE } from './deliver.ts';
import type { DrainReport } from './drain.ts';

/** How often it is looked whether the drain that runs has done it. */
const LOOK_MS = 100;
/** So long at most; a drain that has not tried it by then has a reason that waiting does not mend. */
const PATIENCE_MS = 2 * 60_000;

/** Tries all that is pending now, whatever the back-off and the circuit breaker say. */
export async function flush(config: Config, state: State, log: Log): Promise<DrainReport | null> {
  await untilDone(state, (tx, atMost) => forgetWaits(tx, atMost));
  const upTo = await state.step((tx) => {
    forgetDrainWait(tx);
    forgetOrderWaits(tx);
    return lastSeq(tx);
  });
  return deliverOrWait(config, state, log, { force: true, upTo });
}

/**
 * Delivers, or waits until the drain that runs has tried what was there up to `upTo`.
 * @returns null when others did it.
 */
export async function deliverOrWait(
  config: Config,
  state: State,
  log: Log,
  { force, upTo }: { force: boolean; upTo: number },
): Promise<DrainReport | null> {
  for (const until = performance.now() + PATIENCE_MS; ; ) {
    const report = await deliver(config, state, log, { force, linger: 0, along: NOTHING_ELSE });
    if (report !== null) return report;
    if ((await state.read((tx) => untriedCount(tx, upTo))) === 0 || performance.now() > until) return null;
    await sleep(LOOK_MS);
  }
}
