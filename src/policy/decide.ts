import { admit } from '../resilience/circuit-breaker.ts';
import { loadBreaker } from '../state/breaker.ts';
import { milliseconds } from '../state/clock.ts';
import type { Ticket } from '../state/portal-queue.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { StateUnusable } from '../state/unusable.ts';
import { CUT_SHORT, invalidDecision, undecided } from './decision.ts';
import type { Means } from './means.ts';
import { breakerRules } from './rules.ts';
import { type Asking, conclude, concludeAlone, consult, finish, WITHOUT_STATE } from './steps.ts';
import { waitForTurn } from './turn.ts';
import type { Decision, Failure, Request } from './types.ts';

export interface Decided {
  readonly decision: Decision;
  /** Why the portal could not answer; null when it did or was not asked. */
  readonly failure: Failure | null;
}

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
  return config.portal.timeout - (milliseconds() - admittedAt);
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
