import type { Config } from '../config/schema.ts';
import { breakerRules } from '../policy/rules.ts';
import { settleTime } from '../resilience/circuit-breaker.ts';
import { loadBreaker } from '../state/breaker.ts';
import { callDrain, isDrainOnItsWay, mustWait } from '../state/drain.ts';
import { hasDueOrders } from '../state/orders.ts';
import type { Transaction } from '../state/transaction.ts';

/**
 * Whether this hook, which may just have put something into the state for a drain, is the one that must start it: there is
 * none, and the last one did not just find the portal away. The lease is reserved at once, so that of hundreds of siblings
 * one starts one. In a storm the launcher has started one before, whatever there is to deliver (bin/ocagent-hook).
 * @param canStart whether somebody can: the launcher does, once it has the answer.
 * @param left `work`: there is something for it; `urgent`: and it does not need the portal.
 */
export function sendForDrain(
  tx: Transaction,
  config: Config,
  canStart: boolean,
  left: { readonly work: boolean; readonly urgent: boolean },
): boolean {
  if (!canStart || !left.work || !tx.writable || isDrainOnItsWay(tx)) return false;
  const needsPortal = !left.urgent && !hasDueOrders(tx);
  if (needsPortal && (mustWait(tx, config.events.retry_max) || isBreakerOpen(tx, config))) return false;
  callDrain(tx);
  return true;
}

/** Event calls read the breaker and never change it; half-open, they go out: only so does a quiet server's outbox empty. */
export function isBreakerOpen(tx: Transaction, config: Config): boolean {
  return settleTime(loadBreaker(tx), breakerRules(config), tx.now).kind === 'open';
}
