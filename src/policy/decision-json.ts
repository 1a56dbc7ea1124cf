import type { Config } from '../config/schema.ts';
import type { Decision, Request } from './types.ts';

/** A decision as `auth --json` prints it and the log records it (contract/cli.md). `durationMs` has a tenth's precision. */
export function decisionJson(
  decision: Decision,
  request: Pick<Request, 'username' | 'groupname' | 'clientIp'>,
  config: Config,
  durationMs: number,
): Record<string, unknown> {
  return {
    allowed: decision.allowed,
    source: decision.source,
    reason: decision.reason,
    username: request.username,
    groupname: request.groupname,
    client_ip: request.clientIp,
    cache: { state: decision.cache.state, age_seconds: decision.cache.ageSeconds },
    breaker: decision.breaker,
    fail_mode: config.resilience.fail_mode,
    portal_error: decision.portalError,
    routes: decision.routes,
    dns_servers: decision.dnsServers,
    duration_ms: Math.round(durationMs * 10) / 10,
  };
}
