import { paint, roughly, sheet, visible } from './output.ts';
import type { StatusReport } from './status-report.ts';

/** The whole on one page for a person: what is wrong first, then everything in its place. */
export function page(seen: StatusReport): string {
  return [...problemLines(seen), '', sheet(rows(seen))].join('\n');
}

function problemLines({ problems }: StatusReport): string[] {
  if (problems.length === 0) return [paint('green', 'all is well')];
  return problems.flatMap(({ level, what, cure }) => [
    `${paint(level === 'broken' ? 'red' : 'yellow', level)}: ${visible(what)}`,
    `  ${paint('dim', cure)}`,
  ]);
}

function rows(seen: StatusReport): [string, string][] {
  const {
    mode,
    fail_mode,
    breaker,
    decisions,
    cache,
    events,
    drain,
    sessions,
    portal,
    maintain,
    telemetry,
    state,
  } = seen;
  const ago = (did: string, at: string | null): string =>
    at === null
      ? `never ${did}`
      : `${did} ${roughly(Math.max(0, Date.parse(seen.time ?? '') - Date.parse(at)) / 1_000)} ago`;
  const closed = breaker['state'] === 'closed';
  return [
    ['sessions', `${paint('bold', String(sessions.active))} live`],
    ['decisions', decided(decisions)],
    ['mode', `${mode}, fail mode ${fail_mode}`],
    ['portal', ago('answered', portal.last_success_at)],
    ...(portal.last_error === null
      ? []
      : ([['', `${ago('failed', portal.last_error_at)}: ${visible(portal.last_error)}`]] as [
          string,
          string,
        ][])),
    [
      'breaker',
      `${paint(closed ? 'green' : 'red', String(breaker['state']))}, ${breaker['failures']} failure(s) in a row`,
    ],
    [
      'cache',
      `${cache['size']} of ${cache['max_size']}: ${cache['fresh']} fresh, ${cache['stale']} stale, ${cache['expired']} expired`,
    ],
    [
      '',
      `${cache['hits_total']} hits, ${cache['misses_total']} misses, ${cache['stale_hits_total']} stale hits${ratio(cache)}`,
    ],
    ['events', outbox(events)],
    ['', `${events.delivered_total} delivered, ${events.dropped_total} dropped; ${drainInWords(drain)}`],
    ['maintain', ago('ran', maintain.last_run_at)],
    ['metrics', telemetry.enabled ? ago('exported', telemetry.last_success_at) : 'not exported'],
    ['state', `${state.path} (schema ${state.schema_version})`],
  ];
}

function decided(decisions: StatusReport['decisions']): string {
  const some = Object.entries(decisions).flatMap(([source, { allowed, denied }]) => {
    if (allowed + denied === 0) return [];
    const sums = [allowed > 0 ? `${allowed} allowed` : '', denied > 0 ? `${denied} denied` : ''];
    return [`${source} ${sums.filter(Boolean).join(' and ')}`];
  });
  return some.join(', ') || 'none yet';
}

function ratio({ hits_total = 0, misses_total = 0, stale_hits_total = 0 }: StatusReport['cache']): string {
  const all = hits_total + misses_total + stale_hits_total;
  return all === 0 ? '' : ` (${Math.round((100 * hits_total) / all)} % fresh)`;
}

function outbox({ enabled, pending, failed, oldest_pending_seconds }: StatusReport['events']): string {
  const age = oldest_pending_seconds === null ? '' : `, the oldest ${roughly(oldest_pending_seconds)} old`;
  const waiting = `${paint(pending === 0 ? 'green' : 'yellow', String(pending))} not taken by the portal yet${age}`;
  const aside = failed === 0 ? '' : `; ${paint('red', `${failed} failed`)}`;
  return `${waiting}${aside}${enabled ? '' : ' (events.enabled is false)'}`;
}

function drainInWords({ running, pid, retry_at, failures }: StatusReport['drain']): string {
  if (running) return `being delivered (pid ${pid})`;
  if (retry_at !== null) return `the portal was away ${failures} time(s), tried again at ${retry_at}`;
  return failures > 0 ? `the portal was away ${failures} time(s)` : 'nothing is being delivered';
}
