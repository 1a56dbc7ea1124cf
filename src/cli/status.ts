import type { Config } from '../config/schema.ts';
import { loadBreaker } from '../state/breaker.ts';
import { loadContact } from '../state/contact.ts';
import { SCHEMA_VERSION } from '../state/migrate.ts';
import { liveSessionCount } from '../state/sessions.ts';
import type { Transaction } from '../state/transaction.ts';
import { breakerStatus } from './breaker.ts';
import { cacheStats } from './cache.ts';
import { configOf, type GlobalOptions, stateOf } from './context.ts';
import { eventsAtAGlance } from './events.ts';
import { paint, print, printJson, roughly, sheet, visible } from './output.ts';

interface Status {
  readonly mode: string;
  readonly fail_mode: string;
  readonly breaker: Record<string, string | number | null>;
  readonly cache: Record<string, number>;
  readonly events: ReturnType<typeof eventsAtAGlance>;
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
    events: eventsAtAGlance(tx),
    sessions: { active: liveSessionCount(tx) },
    portal: {
      last_success_at: contact.lastSuccessAt,
      last_error: contact.lastError,
      last_error_at: contact.lastErrorAt,
    },
    state: { path: config.state.path, schema_version: SCHEMA_VERSION },
  };
}

function forPeople({ mode, fail_mode, breaker, cache, events, sessions, portal, state }: Status): string {
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
    ['events', outbox(events)],
    ['state', `${state.path} (schema ${state.schema_version})`],
  );
  return sheet(rows);
}

function outbox({ pending, failed, oldest_pending_seconds }: Status['events']): string {
  const age = oldest_pending_seconds === null ? '' : `, the oldest ${roughly(oldest_pending_seconds)} old`;
  const waiting = `${paint(pending === 0 ? 'green' : 'yellow', String(pending))} not taken by the portal yet${age}`;
  return failed === 0 ? waiting : `${waiting}; ${paint('red', `${failed} failed`)}`;
}
