import type { Config } from '../config/schema.ts';
import { breakerRules } from '../policy/rules.ts';
import { settleTime } from '../resilience/circuit-breaker.ts';
import { loadBreaker } from '../state/breaker.ts';
import { callDrain, isDrainOnItsWay, mustWait } from '../state/drain.ts';
import { hasDueOrders } from '../state/orders.ts';
import { launcherWaits } from '../state/process.ts';
import type { Transaction } from '../state/transaction.ts';

/**
 * Whether this hook, which has just put something into the state for a drain, is the one that must start it: there is
 * none, and the last one did not just find the portal away. The lease is reserved at once, so that of hundreds of siblings
 * one starts one.
 * @param urgent there is something to do that does not need the portal.
 */
export function sendForDrain(tx: Transaction, config: Config, urgent: boolean): boolean {
  // The launcher starts it, after this process has gone (bin/ocagent-hook). Without one nobody would.
  if (!tx.writable || !launcherWaits() || isDrainOnItsWay(tx)) return false;
  const needsPortal = !urgent && !hasDueOrders(tx);
  if (needsPortal && (mustWait(tx, config.events.retry_max) || isBreakerOpen(tx, config))) return false;
  callDrain(tx);
  return true;
}

/** Event calls read the breaker and never change it; half-open, they go out: only so does a quiet server's outbox empty. */
export function isBreakerOpen(tx: Transaction, config: Config): boolean {
  return settleTime(loadBreaker(tx), breakerRules(config), tx.now).kind === 'open';
}
