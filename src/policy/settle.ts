import type { Config } from '../config/schema.ts';
import { type Admission, type BreakerState, type Outcome, settle } from '../resilience/circuit-breaker.ts';
import { blame, loadBreaker, saveBreaker } from '../state/breaker.ts';
import { count } from '../state/counters.ts';
import { type DecisionKey, dropAllowance, keepDecision, revoke } from '../state/decisions.ts';
import type { Transaction } from '../state/transaction.ts';
import { breakerRules } from './rules.ts';
import type { Answer, PortalResult } from './types.ts';

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
  const outcome = outcomeOf(tx, username, result, admission, before, config);
  const after = settle(before, admission, outcome, breakerRules(config), tx.now);
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
  admission: Admission,
  state: BreakerState,
  { resilience }: Config,
): Outcome {
  if ('answer' in result) return 'success';
  // A late failure changes nothing, so it must not use up the user's one that counts either.
  if (result.failure.counts === 'no' || admission.generation !== state.generation) return 'excluded';
  if (result.failure.counts === 'unreached') return 'failure';
  return blame(tx, username, resilience.circuit_breaker.interval) ? 'failure' : 'excluded';
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
  // After the denial was kept: a revocation voids every answer that was asked for before it, this one too.
  if (answer.shouldDisconnect) revoke(tx, key.username);
}
