import type { Config } from '../config/schema.ts';
import { loadBreaker } from '../state/breaker.ts';
import { loadContact } from '../state/contact.ts';
import { SCHEMA_VERSION } from '../state/migrate.ts';
import { liveSessionCount } from '../state/sessions.ts';
import type { Transaction } from '../state/transaction.ts';
import { breakerStatus } from './breaker.ts';
import { cacheStats } from './cache.ts';
import { configOf, type GlobalOptions, stateOf } from './context.ts';
import { paint, print, printJson, sheet, visible } from './output.ts';

interface Status {
  readonly mode: string;
  readonly fail_mode: string;
  readonly breaker: Record<string, string | number | null>;
  readonly cache: Record<string, number>;
  /** Null: this version keeps no outbox yet, so it cannot tell what the portal has not taken. */
  readonly events: { readonly pending: null; readonly failed: null; readonly oldest_pending_seconds: null };
  readonly sessions: { readonly active: number };
  readonly portal: {
    readonly last_success_at: string | null;
    readonly last_error: string | null;
    readonly last_error_at: string | null;
  };
  readonly state: { readonly path: string; readonly schema_version: number };
}

/** The whole at a glance; `--json` is what monitoring may rely on (contract/cli.md). */
export async function status(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config);
  const seen = await state.read((tx) => look(tx, config));
  if (options.json) await printJson(seen);
  else await print(forPeople(seen));
  return 0;
}

function look(tx: Transaction, config: Config): Status {
  const contact = loadContact(tx);
  return {
    mode: config.hook.mode,
    fail_mode: config.resilience.fail_mode,
    breaker: breakerStatus(loadBreaker(tx), config, tx.now),
    cache: cacheStats(tx, config),
    events: { pending: null, failed: null, oldest_pending_seconds: null },
    sessions: { active: liveSessionCount(tx) },
    portal: {
      last_success_at: contact.lastSuccessAt,
      last_error: contact.lastError,
      last_error_at: contact.lastErrorAt,
    },
    state: { path: config.state.path, schema_version: SCHEMA_VERSION },
  };
}

function forPeople({ mode, fail_mode, breaker, cache, sessions, portal, state }: Status): string {
  const rows: [string, string][] = [];
  if (mode === 'observe')
    rows.push(['mode', paint('red', 'OBSERVE: everybody is let in, whatever is decided')]);
  const retry = breaker['retry_at'] === null ? '' : `, asks again at ${breaker['retry_at']}`;
  rows.push(
    ['breaker', paint(breaker['state'] === 'closed' ? 'green' : 'red', `${breaker['state']}${retry}`)],
    ['fail mode', fail_mode],
    ['portal', `last answer ${portal.last_success_at ?? 'never'}`],
  );
  if (portal.last_error !== null)
    rows.push(['', `last error ${portal.last_error_at}: ${visible(portal.last_error)}`]);
  rows.push(
    [
      'cache',
      `${cache['size']} of ${cache['max_size']}: ${cache['fresh']} fresh, ${cache['stale']} stale, ${cache['expired']} expired`,
    ],
    [
      '',
      `${cache['hits_total']} hits, ${cache['misses_total']} misses, ${cache['stale_hits_total']} stale hits`,
    ],
    ['sessions', `${sessions.active} live`],
    ['state', `${state.path} (schema ${state.schema_version})`],
  );
  return sheet(rows);
}
