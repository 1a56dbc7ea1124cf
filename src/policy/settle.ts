import type { Config } from '../config/schema.ts';
import { type Admission, isLive, type Outcome, settle } from '../resilience/circuit-breaker.ts';
import { blame, loadBreaker, saveBreaker } from '../state/breaker.ts';
import { count, observe } from '../state/counters.ts';
import { type DecisionKey, dropAllowance, keepDecision, revoke } from '../state/decisions.ts';
import type { Transaction } from '../state/transaction.ts';
import { breakerRules } from './rules.ts';
import type { Answer, PortalCall, PortalResult } from './types.ts';

/** One call is counted once, whatever its retries, in the transaction that takes what came of it. */
export function countCall(tx: Transaction, call: PortalCall | undefined): void {
  if (call === undefined) return;
  observe(tx, 'ocserv.portal.call.duration', call.seconds, { rpc: call.rpc, grpc_code: call.code });
}

/** Tells the breaker what the admitted call came to. One admission is one outcome, whatever its retries. */
export function settleBreaker(
  tx: Transaction,
  username: string,
  admission: Admission | null,
  result: PortalResult,
  config: Config,
): void {
  if (admission === null) return;
  const before = loadBreaker(tx);
  const rules = breakerRules(config);
  const live = isLive(before, admission, rules, tx.now);
  const outcome = outcomeOf(tx, username, result, live, rules.interval);
  const after = settle(before, admission, outcome, rules, tx.now);
  saveBreaker(tx, before, after);
  if (outcome === 'failure') {
    const state = admission.trial === null ? 'closed' : 'half-open';
    count(tx, 'ocserv.circuit_breaker.failures_total', { state });
  }
}

function outcomeOf(
  tx: Transaction,
  username: string,
  result: PortalResult,
  isLive: boolean,
  interval: number,
): Outcome {
  // A late failure changes nothing, so it must not use up the user's one that counts either.
  if ('answer' in result) return 'success';
  if (result.failure.counts === 'no' || !isLive) return 'excluded';
  if (result.failure.counts === 'unreached') return 'failure';
  return blame(tx, username, interval) ? 'failure' : 'excluded';
}

/** Keeps what the portal answered, as far as it may be kept. */
export function keepAnswer(
  tx: Transaction,
  key: DecisionKey,
  answer: Answer,
  asked: number | null,
  config: Config,
): void {
  if (!answer.storable) return;
  if (answer.cacheTtl === 'not stored') dropAllowance(tx, key);
  else {
    const cacheTtl = answer.cacheTtl === 'none' ? null : answer.cacheTtl;
    keepDecision(tx, key, { ...answer, cacheTtl, asked }, config.resilience.cache.max_size);
  }
  if (answer.shouldDisconnect) revoke(tx, key.username);
}
