import { colour, command, stacked, timeSeries } from './panels.ts';
import { perMinute, rate, series, sumBy } from './queries.ts';

/** A source has the same colour wherever it shows. */
const SOURCES = {
  portal: 'green',
  cache: 'blue',
  stale: 'yellow',
  'fail-open': 'red',
  'fail-close': 'orange',
  emergency: 'purple',
  invalid: 'text',
} as const;

const hits = rate(series('ocserv.cache.hits_total'));
const misses = rate(series('ocserv.cache.misses_total'));
const staleHits = rate(series('ocserv.cache.stale_hits_total'));

export const DECISIONS = [
  colour(
    stacked(
      {
        title: 'Connects decided, by what decided them',
        description: `Of all chosen servers. portal and cache are normal. stale, fail-open and fail-close mean that the portal cannot
        be asked: a last answer repeated, everybody let in, or denied; emergency, that a user of resilience.emergency_users came.
        invalid is a name or address that no portal is asked about; many of them are somebody trying.`,
        unit: 'suffix:/min',
        width: 12,
      },
      [[sumBy('source', perMinute('ocserv.hook.decisions_total')), '{{source}}']],
    ),
    SOURCES,
  ),
  colour(
    stacked(
      {
        title: 'Connects denied, by what denied them',
        description: `Of all chosen servers. Denials by portal and cache are the portal's will: a sudden rise is a changed policy, or
        somebody trying names. Denials by fail-close and stale hit people who may be in: ${command('status')} says why the portal
        cannot be asked, ${command('cache list --user NAME')} what is known of one of them.`,
        unit: 'suffix:/min',
        width: 6,
      },
      [[sumBy('source', perMinute('ocserv.hook.decisions_total', { allowed: 'false' })), '{{source}}']],
    ),
    SOURCES,
  ),
  timeSeries(
    {
      title: 'Cache hit ratio',
      description: `The share of connects that a fresh decision answered, without the portal. High in a storm of reconnects, low in the
        morning when everybody comes for the first time: neither is a fault. Where it is always low and the portal slow, a longer
        resilience.cache.ttl helps. A gap is a time in which nobody came.`,
      unit: 'percentunit',
      width: 6,
    },
    [[`${hits} / (${hits} + ${misses} + ${staleHits})`, '{{instance}}']],
  ).max(1),
];
