import type { Installation } from '../stage/installation.ts';
import type { PortalProcess } from '../stage/portal-process.ts';

/** What a user's client made of its connect. */
export interface Experience {
  readonly connected: boolean;
  /** In its own words. */
  readonly said: string;
}

/** Where the demo plays: on a real VPN, or with the hook alone. */
export interface Stage {
  /** What stands on it, for people to read. */
  readonly description: readonly (readonly [string, string])[];
  readonly installation: Installation;
  readonly portal: PortalProcess;
  connect(user: UserOfDemo): Promise<Experience>;
  leave(user: UserOfDemo): Promise<void>;
  /** Ends and removes all of it. */
  close(): Promise<void>;
}

/** What the hook is told for the demo: short times, so that nobody waits long for what takes minutes in earnest. */
export const RULES = {
  ttlSeconds: 6,
  threshold: 3,
  openSeconds: 6,
  trials: 2,
} as const;

export const CONFIG = `
[resilience]
fail_mode = "stale"
[resilience.cache]
ttl = "${RULES.ttlSeconds}s"
[resilience.circuit_breaker]
failure_threshold = ${RULES.threshold}
timeout = "${RULES.openSeconds}s"
max_requests = ${RULES.trials}
[events]
retry_max = "2s"
`;

export const USERS = ['alice', 'bob', 'carol', 'dave', 'erin'] as const;
export type UserOfDemo = (typeof USERS)[number];

/** Everybody is allowed but carol. */
export const POLICY = {
  users: {
    alice: { routes: ['10.0.0.0/8'] },
    bob: {},
    carol: { allowed: false, reason: 'on leave until Monday' },
    dave: {},
    erin: {},
  },
} as const;
