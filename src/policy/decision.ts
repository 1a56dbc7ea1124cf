import type { Config } from '../config/schema.ts';
import { freshness } from '../resilience/freshness.ts';
import { age, type Instant } from '../resilience/instant.ts';
import type { KeptDecision } from '../state/decisions.ts';
import { failMode } from './fail-mode.ts';
import { freshnessRules } from './rules.ts';
import type { Answer, CacheUse, Decision, Failure, Request } from './types.ts';

/** What a decision depends on besides the request. */
export interface Conditions {
  readonly config: Config;
  /** Pass over a fresh cached decision, but keep the answer and fall back as ever. */
  readonly bypassCache: boolean;
}

/** The portal answered. */
export function fromAnswer(
  answer: Answer,
  breaker: Decision['breaker'],
  { bypassCache }: Conditions,
): Decision {
  return {
    ...undecided(bypassCache ? 'bypass' : 'miss', breaker),
    allowed: answer.allowed,
    source: 'portal',
    reason: answer.reason,
    routes: answer.routes,
    dnsServers: answer.dnsServers,
    shouldDisconnect: answer.shouldDisconnect,
  };
}

/** An answer of the portal's that was kept: while it is fresh, or as the fail mode's last resort. */
export function fromEntry(
  entry: KeptDecision,
  use: CacheUse,
  now: Instant,
): Omit<Decision, 'source' | 'breaker'> {
  return {
    allowed: entry.allowed,
    reason: entry.reason,
    cache: { state: use, ageSeconds: age(entry.answeredAt, now) / 1_000 },
    portalError: null,
    routes: entry.routes,
    dnsServers: entry.dnsServers,
    // The order to end his other sessions was given when the portal gave this answer.
    shouldDisconnect: false,
  };
}

/** The portal cannot be asked, or did not answer: the fail mode decides, from a usable entry where it wants one. */
export function fallBack(
  entry: KeptDecision | undefined,
  now: Instant | null,
  request: Request,
  breaker: Decision['breaker'],
  failure: Failure | null,
  { config, bypassCache }: Conditions,
): Decision {
  const { fail_mode, emergency_users } = config.resilience;
  const usable =
    entry !== undefined && now !== null && freshness(entry, freshnessRules(config), now) !== 'expired'
      ? { entry, now }
      : null;
  const why =
    failure === null
      ? `the portal was not asked: the circuit breaker is ${breaker}`
      : `the portal could not be asked: ${failure.code}`;
  const verdict = failMode(fail_mode, usable?.entry, emergency_users.includes(request.username), why);
  const base =
    usable !== null && verdict.source === 'stale'
      ? fromEntry(usable.entry, 'stale', usable.now)
      : undecided(bypassCache ? 'bypass' : 'miss', breaker);
  return {
    ...base,
    ...verdict,
    breaker,
    portalError: failure === null ? null : `${failure.code}: ${failure.detail}`,
  };
}

/** A denial that nobody has given a reason for yet. */
export function undecided(use: CacheUse, breaker: Decision['breaker']): Decision {
  return {
    allowed: false,
    source: 'fail-close',
    reason: '',
    cache: { state: use, ageSeconds: null },
    breaker,
    portalError: null,
    routes: [],
    dnsServers: [],
    shouldDisconnect: false,
  };
}

/** A value that is present but invalid, while nothing is known of the state. */
export function invalidDecision(reason: string): Decision {
  return { ...undecided('unavailable', 'unavailable'), source: 'invalid', reason };
}

/** What a deadline says that cuts in before the portal has answered. */
export const CUT_SHORT: Failure = {
  code: 'DEADLINE_EXCEEDED',
  detail: 'hook.deadline passed before the portal answered',
  cure: '',
  counts: 'no',
  misconfigured: false,
};
