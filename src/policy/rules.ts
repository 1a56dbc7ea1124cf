import type { Config } from '../config/schema.ts';
import type { BreakerRules } from '../resilience/circuit-breaker.ts';
import type { FreshnessRules } from '../resilience/freshness.ts';

/** The configuration in the terms of the pure rules. */
export function breakerRules({ portal, resilience }: Config): BreakerRules {
  const { max_requests, interval, timeout, failure_threshold } = resilience.circuit_breaker;
  return {
    maxRequests: max_requests,
    interval,
    timeout,
    failureThreshold: failure_threshold,
    trialLease: portal.timeout + 1_000,
  };
}

export function freshnessRules({ resilience: { cache } }: Config): FreshnessRules {
  return { ttl: cache.ttl, denyTtl: cache.deny_ttl, staleTtl: cache.stale_ttl };
}
