import type { Config } from '../config/schema.ts';
import { breakerRules } from '../policy/rules.ts';
import { type BreakerState, reset, settleTime, trip } from '../resilience/circuit-breaker.ts';
import { age, type Instant } from '../resilience/instant.ts';
import { forgetBlame, loadBreaker, saveBreaker } from '../state/breaker.ts';
import { timestamp } from '../state/contact.ts';
import type { Transaction } from '../state/transaction.ts';
import { configOf, type GlobalOptions, mustBeRecorded, stateOf } from './context.ts';
import { paint, print, printJson, sheet } from './output.ts';

/** The breaker as every hook sees it now: the fields of `breaker status --json`, and of `status --json` under `breaker`. */
export function breakerStatus(
  state: BreakerState,
  config: Config,
  now: Instant,
): Record<string, string | number | null> {
  const current = settleTime(state, breakerRules(config), now);
  const { timeout, max_requests } = config.resilience.circuit_breaker;
  return {
    state: current.kind,
    failures: current.failures,
    opened_at: current.kind === 'closed' ? null : timestamp(current.openedAt.wall),
    // By what is left of the timeout, not by the stored wall time: somebody may have set the clock.
    retry_at:
      current.kind === 'open'
        ? timestamp(now.wall + timeout - Math.max(0, age(current.openedAt, now)))
        : null,
    trials: current.kind === 'half-open' ? current.trials.length : 0,
    successes: current.kind === 'half-open' ? current.successes : 0,
    max_requests,
  };
}

export async function status(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config);
  await report(options, await state.read((tx) => breakerStatus(loadBreaker(tx), config, tx.now)));
  return 0;
}

/** Closed at once; calls that are out no longer count, and nobody is blamed. */
export function resetBreaker(options: GlobalOptions): Promise<number> {
  return change(options, (tx, state) => {
    forgetBlame(tx);
    return reset(state);
  });
}

/** Opened by hand, for `timeout` like any opening. */
export function tripBreaker(options: GlobalOptions): Promise<number> {
  return change(options, (tx, state) => trip(state, tx.now));
}

async function change(
  options: GlobalOptions,
  next: (tx: Transaction, state: BreakerState) => BreakerState,
): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config, { create: true });
  const figures = await state.step((tx) => {
    const before = loadBreaker(tx);
    const after = next(tx, before);
    saveBreaker(tx, before, after);
    return breakerStatus(after, config, tx.now);
  });
  mustBeRecorded(state);
  await report(options, figures);
  return 0;
}

async function report(
  options: GlobalOptions,
  figures: Record<string, string | number | null>,
): Promise<void> {
  if (options.json) return printJson(figures);
  const rows = Object.entries(figures).map(([name, value]): [string, string] => [
    name.replaceAll('_', ' '),
    name === 'state' ? paint(value === 'closed' ? 'green' : 'red', String(value)) : String(value ?? '-'),
  ]);
  await print(sheet(rows));
}
