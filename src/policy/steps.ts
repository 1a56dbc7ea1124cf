import type { Config } from '../config/schema.ts';
import { type Admission, admit, type BreakerState } from '../resilience/circuit-breaker.ts';
import { freshness } from '../resilience/freshness.ts';
import { hasPassed, type Instant } from '../resilience/instant.ts';
import { loadBreaker, saveBreaker } from '../state/breaker.ts';
import { milliseconds } from '../state/clock.ts';
import { noteContact } from '../state/contact.ts';
import { count } from '../state/counters.ts';
import { findDecision, type KeptDecision, touchDecision } from '../state/decisions.ts';
import { type Question, withdraw } from '../state/questions.ts';
import { nextInSequence } from '../state/sequence.ts';
import type { Transaction } from '../state/transaction.ts';
import { type Conditions, fallBack, fromAnswer, fromEntry } from './decision.ts';
import type { Means } from './means.ts';
import { breakerRules, freshnessRules } from './rules.ts';
import { countCall, keepAnswer, settleBreaker } from './settle.ts';
import type { Decision, PortalResult, Request } from './types.ts';
import { ALONE, type Left, leaveWay, type Way, wayToPortal } from './way.ts';

/** What the first step leaves for the second. */
export interface Asking {
  readonly admission: Admission | null;
  readonly asked: number | null;
  readonly way: Way;
  /** The database that gave the three above: to another one they mean nothing. */
  readonly epoch: number;
  readonly breaker: Decision['breaker'];
  /** The entry as last seen, for the case that the state is lost in between. */
  readonly remembered: KeptDecision | undefined;
  readonly seenAt: Instant | null;
  /** By this process' own clock: a trial's lease is running since then. */
  readonly admittedAt: number;
}

/** When there is no state to take it from. */
export const WITHOUT_STATE: Asking = {
  admission: null,
  asked: null,
  way: ALONE,
  epoch: 0,
  breaker: 'unavailable',
  remembered: undefined,
  seenAt: null,
  admittedAt: 0,
};

/**
 * First step: answered from the cache, refused by the breaker (then the fail mode answers), or off to the portal.
 * @param waited the question that this process has waited with; null when it comes for the first time.
 */
export function consult(
  tx: Transaction,
  request: Request,
  means: Means,
  waited: Question | null,
): { decision: Decision } | Asking {
  const { config } = means;
  const answered = (decision: Decision): { decision: Decision } => {
    if (waited !== null) withdraw(tx, waited);
    return { decision: finish(tx, decision, means) };
  };
  const entry = findDecision(tx, request);
  const before = loadBreaker(tx);
  const asked = admit(before, breakerRules(config), tx.now);
  const breaker = asked.state.kind;

  if (
    entry !== undefined &&
    !means.bypassCache &&
    freshness(entry, freshnessRules(config), tx.now) === 'fresh'
  ) {
    touchDecision(tx, request);
    return answered({ ...fromEntry(entry, 'hit', tx.now), source: 'cache', breaker });
  }

  if (waited === null) count(tx, 'ocserv.circuit_breaker.requests_total', { state: breaker });
  saveBreaker(tx, before, asked.state);
  const mayAsk = tx.writable ? asked.admission !== null : mayAskUnrecorded(asked.state, config, tx.now);
  if (!mayAsk) return answered(fallBack(entry, tx.now, request, breaker, null, means));
  // Only a trial changes the breaker by being admitted: one that was not written down is none.
  const admission = tx.writable || breaker === 'closed' ? asked.admission : null;
  const isTrial = admission !== null && admission.trial !== null;
  const number = nextInSequence(tx);
  if (isTrial && waited !== null) withdraw(tx, waited);
  // A trial's call is its own: it is one of few, and its lease is running. So is that of one which cannot write itself down.
  const way =
    number === null || isTrial || means.isConnected ? ALONE : wayToPortal(tx, number, request, waited, means);
  return {
    admission,
    // The answer to a question that has waited for long is only as new as the question.
    asked: way.kind === 'wait' ? way.question.number : number,
    way,
    epoch: tx.epoch,
    breaker,
    remembered: entry,
    seenAt: tx.now,
    admittedAt: milliseconds(),
  };
}

/**
 * Whether to ask where nothing can be recorded. A trial that is not recorded could be one of any number, so at first there
 * are none. But then nobody could ever tell the breaker that the portal is back: once every trial that siblings may
 * have begun is over, the state is gone on without, as if there were none.
 */
function mayAskUnrecorded(state: BreakerState, config: Config, now: Instant): boolean {
  switch (state.kind) {
    case 'closed':
      return true;
    case 'open':
      return false;
    case 'half-open': {
      const { timeout, trialLease } = breakerRules(config);
      return hasPassed(timeout + trialLease, state.openedAt, now);
    }
  }
}

/** Second step: what the portal's answer, or its absence, changes. */
export function conclude(
  tx: Transaction,
  request: Request,
  asking: Asking,
  result: PortalResult,
  means: Means,
): { decision: Decision; left: Left } {
  const sameState = asking.epoch === tx.epoch;
  const left = leaveWay(tx, sameState ? asking.way : ALONE, means);
  return { decision: settleAndDecide(tx, request, asking, result, means), left };
}

function settleAndDecide(
  tx: Transaction,
  request: Request,
  asking: Asking,
  result: PortalResult,
  means: Means,
): Decision {
  const { config } = means;
  const sameState = asking.epoch === tx.epoch;
  countCall(tx, result.call);
  if (sameState) settleBreaker(tx, request.username, asking.admission, result, config);
  if ('failure' in result) {
    if (result.failure.code !== 'LOCAL') noteContact(tx, `${result.failure.code}: ${result.failure.detail}`);
    const entry = findDecision(tx, request);
    return finish(tx, fallBack(entry, tx.now, request, asking.breaker, result.failure, means), means);
  }
  noteContact(tx, null);
  keepAnswer(tx, request, result.answer, sameState ? asking.asked : null, config);
  return finish(tx, fromAnswer(result.answer, asking.breaker, means), means);
}

/** The second step without the state: nothing is recorded, and what was read before is all there is to fall back on. */
export function concludeAlone(
  request: Request,
  asking: Asking,
  result: PortalResult,
  conditions: Conditions,
): Decision {
  const { breaker, remembered, seenAt } = asking;
  const decision =
    'answer' in result
      ? fromAnswer(result.answer, breaker, conditions)
      : fallBack(remembered, seenAt, request, breaker, result.failure, conditions);
  return seenAt === null ? { ...decision, cache: { state: 'unavailable', ageSeconds: null } } : decision;
}

/** Every decision passes here once, inside its final transaction: it is counted and recorded with all that it changed. */
export function finish(tx: Transaction, decision: Decision, { record }: Pick<Means, 'record'>): Decision {
  switch (decision.cache.state) {
    case 'hit':
      count(tx, 'ocserv.cache.hits_total');
      break;
    case 'stale':
      count(tx, 'ocserv.cache.stale_hits_total');
      break;
    case 'miss':
      count(tx, 'ocserv.cache.misses_total');
      break;
    case 'bypass':
    case 'unavailable':
      break;
  }
  record(tx, decision);
  return decision;
}
