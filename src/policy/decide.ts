import type { Config } from '../config/schema.ts';
import { type Admission, admit } from '../resilience/circuit-breaker.ts';
import { freshness } from '../resilience/freshness.ts';
import { hasPassed, type Instant } from '../resilience/instant.ts';
import { loadBreaker, saveBreaker } from '../state/breaker.ts';
import { noteContact } from '../state/contact.ts';
import { count } from '../state/counters.ts';
import { findDecision, type KeptDecision, touchDecision } from '../state/decisions.ts';
import { drawTicket, returnTicket, type Ticket } from '../state/portal-queue.ts';
import { nextInSequence } from '../state/sequence.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { StateUnusable } from '../state/unusable.ts';
import { type Conditions, fallBack, fromAnswer, fromEntry, undecided } from './decision.ts';
import { breakerRules, freshnessRules } from './rules.ts';
import { keepAnswer, settleBreaker } from './settle.ts';
import { waitForTurn } from './turn.ts';
import type { Decision, Failure, PortalResult, Request } from './types.ts';

/** What a decision needs from outside. */
export interface Means extends Conditions {
  /** Null when it cannot be used; why was reported when it was opened. */
  readonly state: State | null;
  /** `atMost`: milliseconds that the call may take, besides all other bounds. */
  readonly askPortal: (atMost: number) => Promise<PortalResult>;
  /** Milliseconds that may be spent on letting siblings ask the portal first, as of now. */
  readonly mayWaitForTurn: () => number;
  /** What else belongs to the decision: it is recorded in the very transaction that makes it final. */
  readonly record: (tx: Transaction, decision: Decision) => void;
  readonly onStateLost: (error: StateUnusable) => void;
  /** Told what the decision would be if nothing more became known: a deadline that cuts in answers with that. */
  readonly onProvisional: (decision: Decision) => void;
}

export interface Decided {
  readonly decision: Decision;
  /** Why the portal could not answer; null when it did or was not asked. */
  readonly failure: Failure | null;
}

/** What the first step leaves for the second. */
interface Asking {
  readonly admission: Admission | null;
  readonly asked: number | null;
  readonly ticket: Ticket | null;
  /** The database that gave the three above: to another one they mean nothing. */
  readonly epoch: number;
  readonly breaker: Decision['breaker'];
  /** The entry as last seen, for the case that the state is lost in between. */
  readonly remembered: KeptDecision | undefined;
  readonly seenAt: Instant | null;
  /** By this process' own clock: a trial's lease is running since then. */
  readonly admittedAt: number;
}

const WITHOUT_STATE: Asking = {
  admission: null,
  asked: null,
  ticket: null,
  epoch: 0,
  breaker: 'unavailable',
  remembered: undefined,
  seenAt: null,
  admittedAt: 0,
};

/** What a deadline says that cuts in before the portal has answered. */
export const CUT_SHORT: Failure = {
  code: 'DEADLINE_EXCEEDED',
  detail: 'hook.deadline passed before the portal answered',
  cure: '',
  counts: 'no',
  misconfigured: false,
};

/**
 * The one place that makes a decision: cache → breaker → portal → fail mode (design: "The way of a connect").
 * Short transactions with the portal's call between them; a single one when it need not be asked.
 */
export async function decide(request: Request, means: Means): Promise<Decided> {
  const first = await consultInTurn(request, means);
  if (first !== null && 'decision' in first) return { decision: first.decision, failure: null };

  const asking = first ?? WITHOUT_STATE;
  const result = await means.askPortal(atMost(asking, means));
  const failure = 'failure' in result ? result.failure : null;
  const alone = concludeAlone(request, asking, result, means);
  means.onProvisional(alone);

  const final =
    first === null
      ? null
      : await withState(means, (state) => state.step((tx) => conclude(tx, request, asking, result, means)));
  return { decision: final ?? alone, failure };
}

/** The first step, and where siblings ask the portal first, the wait for one's turn and the same step again. */
async function consultInTurn(
  request: Request,
  means: Means,
): Promise<{ decision: Decision } | Asking | null> {
  const first = await consultWith(null, request, means);
  if (first === null || 'decision' in first || first.ticket === null || means.state === null) return first;
  const { ticket } = first;
  if (!(await waitForTurn(means.state, ticket, means.mayWaitForTurn()))) return first;
  // Meanwhile siblings may have been told of this very user, or found the portal dead.
  return consultWith(ticket, request, means);
}

async function consultWith(
  ticket: Ticket | null,
  request: Request,
  means: Means,
): Promise<{ decision: Decision } | Asking | null> {
  const result = await withState(means, (state) => state.step((tx) => consult(tx, request, means, ticket)));
  if (result !== null && !('decision' in result)) {
    means.onProvisional(concludeAlone(request, result, { failure: CUT_SHORT }, means));
  }
  return result;
}

/** A trial's call must be over before its lease is: the lease is the timeout and a second. */
function atMost({ admission, admittedAt }: Asking, { config }: Means): number {
  if (admission === null || admission.trial === null) return Number.POSITIVE_INFINITY;
  return config.portal.timeout - (performance.now() - admittedAt);
}

/** A value that is present but invalid is denied without asking anybody. It is a decision, so it is counted as one. */
export async function decideInvalid(
  reason: string,
  means: Pick<Means, 'config' | 'state' | 'record' | 'onStateLost'>,
): Promise<Decision> {
  const work = (tx: Transaction): Decision => {
    const breaker = admit(loadBreaker(tx), breakerRules(means.config), tx.now).state.kind;
    return finish(tx, { ...undecided('miss', breaker), source: 'invalid', reason }, means);
  };
  return (await withState(means, (state) => state.step(work))) ?? invalidDecision(reason);
}

/** The same while nothing is known of the state. */
export function invalidDecision(reason: string): Decision {
  return { ...undecided('unavailable', 'unavailable'), source: 'invalid', reason };
}

/**
 * First step: answered from the cache, refused by the breaker (then the fail mode answers), or off to the portal.
 * @param queued the ticket that this process has waited with; null when it comes for the first time.
 */
function consult(
  tx: Transaction,
  request: Request,
  means: Means,
  queued: Ticket | null,
): { decision: Decision } | Asking {
  const { config } = means;
  const answered = (decision: Decision): { decision: Decision } => {
    if (queued !== null) returnTicket(tx, queued.number);
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

  if (queued === null) count(tx, 'ocserv.circuit_breaker.requests_total', { state: breaker });
  saveBreaker(tx, before, asked.state);
  const admission = tx.writable ? asked.admission : withoutRecord(asked, config, tx.now);
  if (admission === null) {
    return answered(fallBack(entry, tx.now, request, breaker, null, means));
  }
  return {
    admission: admission === 'unrecorded' ? null : admission,
    asked: nextInSequence(tx),
    // A trial call does not queue: it is one of few, and its lease is running.
    ticket: queued ?? (isTrial(admission) ? null : drawTicket(tx, config.hook.deadline)),
    epoch: tx.epoch,
    breaker,
    remembered: entry,
    seenAt: tx.now,
    admittedAt: performance.now(),
  };
}

/**
 * Whether to ask where nothing can be recorded. A trial that is not recorded could be one of any number, so at first there
 * are none. But then nobody could ever tell the breaker that the portal is back: once every trial that siblings may
 * have begun is over, the state is gone on without, as if there were none.
 */
function withoutRecord(
  { state, admission }: ReturnType<typeof admit>,
  config: Config,
  now: Instant,
): Admission | 'unrecorded' | null {
  if (state.kind !== 'half-open') return admission;
  const { timeout, trialLease } = breakerRules(config);
  return hasPassed(timeout + trialLease, state.openedAt, now) ? 'unrecorded' : null;
}

function isTrial(admission: Admission | 'unrecorded'): boolean {
  return admission !== 'unrecorded' && admission.trial !== null;
}

/** Second step: what the portal's answer, or its absence, changes. */
function conclude(
  tx: Transaction,
  request: Request,
  asking: Asking,
  result: PortalResult,
  means: Means,
): Decision {
  const { config } = means;
  const sameState = asking.epoch === tx.epoch;
  if (sameState && asking.ticket !== null) returnTicket(tx, asking.ticket.number);
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
function concludeAlone(request: Request, asking: Asking, result: PortalResult, means: Means): Decision {
  const { breaker, remembered, seenAt } = asking;
  const decision =
    'answer' in result
      ? fromAnswer(result.answer, breaker, means)
      : fallBack(seenAt === null ? undefined : remembered, seenAt, request, breaker, result.failure, means);
  return seenAt === null ? { ...decision, cache: { state: 'unavailable', ageSeconds: null } } : decision;
}

/** Every decision passes here once, inside its final transaction: it is counted and recorded with all that it changed. */
function finish(tx: Transaction, decision: Decision, { record }: Pick<Means, 'record'>): Decision {
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

/** Null without a state, and when it is lost: the decision then goes on without it. */
async function withState<T>(
  { state, onStateLost }: Pick<Means, 'state' | 'onStateLost'>,
  use: (state: State) => Promise<T>,
): Promise<T | null> {
  if (state === null) return null;
  try {
    return await use(state);
  } catch (error) {
    if (!(error instanceof StateUnusable)) throw error;
    onStateLost(error);
    return null;
  }
}
