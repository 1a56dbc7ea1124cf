import { age, type Instant } from './instant.ts';

/** How long a kept decision may answer (contract/cli.md, "Cache"). All in milliseconds. */
export interface FreshnessRules {
  readonly ttl: number;
  readonly denyTtl: number;
  readonly staleTtl: number;
}

export interface Dated {
  readonly allowed: boolean;
  readonly answeredAt: Instant;
  /** The portal's own bound on freshness (`cache_ttl`), which only ever shortens ours; null when it named none. */
  readonly cacheTtl: number | null;
}

/** `fresh` answers at once; `stale` only under a fail mode, after the portal could not be asked; `expired` never. */
export type Freshness = 'fresh' | 'stale' | 'expired';

export function freshness(entry: Dated, rules: FreshnessRules, now: Instant): Freshness {
  const elapsed = age(entry.answeredAt, now);
  if (elapsed < 0) return 'expired';
  const configured = entry.allowed ? rules.ttl : rules.denyTtl;
  if (elapsed < Math.min(configured, entry.cacheTtl ?? configured)) return 'fresh';
  // deny_ttl may exceed stale_ttl: then the denial lives deny_ttl.
  const usable = entry.allowed ? rules.staleTtl : Math.max(rules.staleTtl, rules.denyTtl);
  return elapsed < usable ? 'stale' : 'expired';
}
