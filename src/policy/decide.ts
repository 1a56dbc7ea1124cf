import { admit } from '../resilience/circuit-breaker.ts';
import { loadBreaker } from '../state/breaker.ts';
import { milliseconds } from '../state/clock.ts';
import { sleep } from '../state/patience.ts';
import type { Question } from '../state/questions.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { StateUnusable } from '../state/unusable.ts';
import { wake } from '../state/wake.ts';
import { CUT_SHORT, invalidDecision, undecided } from './decision.ts';
import type { Means } from './means.ts';
import { breakerRules } from './rules.ts';
import { type Asking, conclude, concludeAlone, consult, finish, WITHOUT_STATE } from './steps.ts';
import type { Decision, Failure, PortalResult, Request } from './types.ts';
import { waitForAnswer } from './wait.ts';
import { ALONE, type Way } from './way.ts';

export interface Decided {
  readonly decision: Decision;
  /** Why the portal could not answer; null when it did or was not asked. */
  readonly failure: Failure | null;
  /** The term, where this process must go on asking the portal for siblings that wait; else null. */
  readonly leads: number | null;
}

/**
 * The one place that makes a decision: cache → breaker → portal → fail mode (design: "The way of a connect").
 * Short transactions with the portal's call between them; a single one when it need not be asked.
 */
export async function decide(request: Request, means: Means): Promise<Decided> {
  const heard = await hear(request, means);
  if ('decision' in heard) return { decision: heard.decision, failure: null, leads: null };

  const { asking, result, isLost } = heard;
  const failure = 'failure' in result ? result.failure : null;
  const alone = concludeAlone(request, asking, result, means);
  means.onProvisional(alone);

  const final = isLost
    ? null
    : await withState(means, (state) => state.step((tx) => conclude(tx, request, asking, result, means)));
  if (final !== null && final.left.wakes !== null) wake(final.left.wakes);
  // What was not written down leads nobody: a sibling takes over once this process has gone.
  const leads = means.state?.unrecorded === null ? (final?.left.leads ?? null) : null;
  return { decision: final?.decision ?? alone, failure, leads };
}

type Consulted = { readonly decision: Decision } | Asking;

/** The decision, where the portal need not be asked; else what it says, by a sibling's call or by one of our own. */
async function hear(
  request: Request,
  means: Means,
): Promise<{ decision: Decision } | { asking: Asking; result: PortalResult; isLost: boolean }> {
  for (let waited: Question | null = null, last = WITHOUT_STATE; ; ) {
    const consulted: Consulted | null = await consultWith(waited, request, means);
    if (consulted !== null && 'decision' in consulted) return consulted;
    const asking: Asking = consulted ?? withoutState(last);
    const way: Way = asking.way;
    if (way.kind !== 'wait' || means.state === null) {
      const term = way.kind === 'lead' ? way.term : null;
      const result = await means.askPortal(atMost(asking, means), term);
      return { asking, result, isLost: consulted === null };
    }
    wake(way.leader.pid);
    means.onWaiting?.();
    const result = await waitForAnswer(means.state, way, means);
    if (result !== null) return { asking, result, isLost: false };
    // The leader has gone, or has been too slow. Meanwhile siblings may have been told of this very user, or found the portal dead.
    waited = way.question;
    last = asking;
    // Whatever brings us here again and again must not keep the deadline and SIGTERM from being heard.
    await sleep(1);
  }
}

/** The state was lost on the way: what was seen of it before is still what there is to fall back on. */
function withoutState(last: Asking): Asking {
  return { ...last, admission: null, asked: null, way: ALONE };
}

async function consultWith(
  waited: Question | null,
  request: Request,
  means: Means,
): Promise<Consulted | null> {
  const result = await withState(means, (state) => state.step((tx) => consult(tx, request, means, waited)));
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
