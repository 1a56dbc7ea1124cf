import { hasPassed, type Instant, leaseIsOver } from './instant.ts';

/**
 * The circuit breaker as a pure rule: state × event × now → state. It is stored between invocations, so every
 * process that asks or reports goes through one of the functions below inside one transaction.
 *
 * A generation number makes late answers harmless: an outcome that belongs to an older generation changes
 * nothing. The rules are those of contract/cli.md, "Breaker".
 */
export type BreakerState =
  | {
      readonly kind: 'closed';
      readonly generation: number;
      /** Failures in a row since `firstFailure`; a success starts over. */
      readonly failures: number;
      readonly firstFailure: Instant | null;
    }
  | {
      readonly kind: 'open';
      readonly generation: number;
      readonly failures: number;
      readonly openedAt: Instant;
    }
  | {
      readonly kind: 'half-open';
      readonly generation: number;
      readonly failures: number;
      readonly openedAt: Instant;
      readonly successes: number;
      readonly nextTrial: number;
      readonly trials: readonly Trial[];
    };

/** A call let through while half-open. Its place is a lease: a process that dies gives it back by expiry. */
export interface Trial {
  readonly id: number;
  readonly since: Instant;
}

export interface BreakerRules {
  /** Trial calls admitted in one half-open period, and successes that close it; ≥ 1. */
  readonly maxRequests: number;
  /** Milliseconds after the first failure of a row at which its count starts over. */
  readonly interval: number;
  /** Milliseconds from open to half-open. */
  readonly timeout: number;
  /** Failures in a row that open it; ≥ 1. */
  readonly failureThreshold: number;
  /** Milliseconds that a trial keeps its place: longer than any call can take. */
  readonly trialLease: number;
}

/** What an admitted process must bring back with its outcome. */
export interface Admission {
  readonly generation: number;
  readonly trial: number | null;
}

/** `excluded`: it says nothing about the portal (a local fault, a starved process, a status that does not count). */
export type Outcome = 'success' | 'failure' | 'excluded';

export const INITIAL: BreakerState = { kind: 'closed', generation: 0, failures: 0, firstFailure: null };

/** May a call go out now? `admission` is null when not. */
export function admit(
  state: BreakerState,
  rules: BreakerRules,
  now: Instant,
): { state: BreakerState; admission: Admission | null } {
  const current = settleTime(state, rules, now);
  switch (current.kind) {
    case 'closed':
      return { state: current, admission: { generation: current.generation, trial: null } };
    case 'open':
      return { state: current, admission: null };
    case 'half-open': {
      if (current.trials.length + current.successes >= rules.maxRequests)
        return { state: current, admission: null };
      const trial: Trial = { id: current.nextTrial, since: now };
      return {
        state: { ...current, nextTrial: trial.id + 1, trials: [...current.trials, trial] },
        admission: { generation: current.generation, trial: trial.id },
      };
    }
  }
}

/** What the admitted call came to. An outcome of an older generation, or of a trial whose lease ran out, changes nothing. */
export function settle(
  state: BreakerState,
  admission: Admission,
  outcome: Outcome,
  rules: BreakerRules,
  now: Instant,
): BreakerState {
  const current = settleTime(state, rules, now);
  if (!isLive(current, admission, rules, now)) return current;
  switch (current.kind) {
    case 'open':
      return current;
    case 'closed':
      if (outcome === 'excluded') return current;
      if (outcome === 'success') return current.failures === 0 ? current : closed(current.generation);
      return current.failures + 1 >= rules.failureThreshold
        ? open(current, current.failures + 1, now)
        : { ...current, failures: current.failures + 1, firstFailure: current.firstFailure ?? now };
    case 'half-open': {
      const trials = current.trials.filter((trial) => trial.id !== admission.trial);
      if (outcome === 'excluded') return { ...current, trials };
      if (outcome === 'failure') return open(current, current.failures + 1, now);
      const successes = current.successes + 1;
      return successes >= rules.maxRequests
        ? closed(current.generation + 1)
        : { ...current, trials, successes };
    }
  }
}

/** Whether an outcome of this admission can still change anything: its generation holds, and its trial has its place. */
export function isLive(
  state: BreakerState,
  admission: Admission,
  rules: BreakerRules,
  now: Instant,
): boolean {
  const current = settleTime(state, rules, now);
  if (admission.generation !== current.generation) return false;
  return current.kind !== 'half-open' || current.trials.some((trial) => trial.id === admission.trial);
}

/** Opened by hand: it ends after `timeout` like any opening. */
export function trip(state: BreakerState, now: Instant): BreakerState {
  return open(state, state.failures, now);
}

/** Closed by hand: calls that are out belong to an older generation from now on. */
export function reset(state: BreakerState): BreakerState {
  return closed(state.generation + 1);
}

/** The state that holds at `now`: an open breaker past its timeout is half-open, old failures and dead trials are gone. */
export function settleTime(state: BreakerState, rules: BreakerRules, now: Instant): BreakerState {
  switch (state.kind) {
    case 'closed':
      return state.firstFailure !== null && hasPassed(rules.interval, state.firstFailure, now)
        ? closed(state.generation)
        : state;
    case 'open':
      return hasPassed(rules.timeout, state.openedAt, now)
        ? {
            kind: 'half-open',
            generation: state.generation + 1,
            failures: state.failures,
            openedAt: state.openedAt,
            successes: 0,
            nextTrial: 1,
            trials: [],
          }
        : state;
    case 'half-open': {
      // max_requests may have been lowered in the configuration since: the successes that are enough now close it.
      if (state.successes >= rules.maxRequests) return closed(state.generation + 1);
      const trials = state.trials.filter((trial) => !leaseIsOver(rules.trialLease, trial.since, now));
      return trials.length === state.trials.length ? state : { ...state, trials };
    }
  }
}

function closed(generation: number): BreakerState {
  return { kind: 'closed', generation, failures: 0, firstFailure: null };
}

function open(from: BreakerState, failures: number, now: Instant): BreakerState {
  return { kind: 'open', generation: from.generation + 1, failures, openedAt: now };
}
