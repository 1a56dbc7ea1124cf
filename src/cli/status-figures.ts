import type { Config } from '../config/schema.ts';
import { loadBreaker } from '../state/breaker.ts';
import { loadContact, timestamp } from '../state/contact.ts';
import { counted, total } from '../state/counters.ts';
import { exportStatus } from '../state/export-turn.ts';
import { lastMaintainRun } from '../state/maintenance.ts';
import { SCHEMA_VERSION } from '../state/migrate.ts';
import { liveSessionCount } from '../state/sessions.ts';
import type { Transaction } from '../state/transaction.ts';
import { breakerStatus } from './breaker.ts';
import { cacheStats } from './cache.ts';
import { drainFigures, eventsAtAGlance } from './events.ts';

export type Figures = ReturnType<typeof figures>;

/** All that a look at the state tells, wrong or not. */
export function figures(tx: Transaction, config: Config) {
  const contact = loadContact(tx);
  const exported = exportStatus(tx);
  return {
    time: timestamp(tx.now.wall),
    mode: config.hook.mode,
    fail_mode: config.resilience.fail_mode,
    breaker: breakerStatus(loadBreaker(tx), config, tx.now),
    decisions: decisionsBySource(tx),
    cache: cacheStats(tx, config),
    events: {
      enabled: config.events.enabled,
      ...eventsAtAGlance(tx),
      delivered_total: total(tx, 'ocserv.events.delivered_total'),
      dropped_total: total(tx, 'ocserv.events.dropped_total'),
    },
    drain: drainFigures(tx),
    sessions: { active: liveSessionCount(tx) },
    portal: {
      last_success_at: contact.lastSuccessAt,
      last_error: contact.lastError,
      last_error_at: contact.lastErrorAt,
    },
    maintain: { last_run_at: timestamp(lastMaintainRun(tx)) },
    telemetry: {
      enabled: config.telemetry.enabled,
      last_success_at: timestamp(exported.lastSuccess),
      last_error: exported.lastError,
      last_error_at: timestamp(exported.lastErrorAt),
    },
    state: { path: config.state.path, schema_version: SCHEMA_VERSION },
  };
}

/** Connects by what decided them, since the state was created. */
function decisionsBySource(tx: Transaction): Record<string, { allowed: number; denied: number }> {
  const bySource: Record<string, { allowed: number; denied: number }> = {};
  for (const { attributes, value } of counted(tx, 'ocserv.hook.decisions_total')) {
    const { source = '', allowed } = attributes;
    const { [source]: sums = { allowed: 0, denied: 0 } } = bySource;
    sums[allowed === 'true' ? 'allowed' : 'denied'] += value;
    bySource[source] = sums;
  }
  return bySource;
}
