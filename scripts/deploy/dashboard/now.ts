import { MappingType, type ValueMapping } from '@grafana/grafana-foundation-sdk/dashboard';
import { COLOURS, command, DAY, stat, thresholds } from './panels.ts';
import { series, sumBy } from './queries.ts';

export const BREAKER_STATES: ValueMapping = {
  type: MappingType.ValueToText,
  options: {
    0: { text: 'closed', color: COLOURS.good, index: 0 },
    1: { text: 'open', color: COLOURS.bad, index: 1 },
    2: { text: 'half-open', color: COLOURS.attention, index: 2 },
  },
};

/** An age since 1970: there was none. */
export const NEVER: ValueMapping = {
  type: MappingType.RangeToText,
  options: { from: 1_000_000_000, to: null, result: { text: 'never', color: COLOURS.none } },
};

const HEIGHT = 5;

/** The first row: whether anything is wrong, and where to look then. */
export const NOW = [
  stat(
    {
      title: 'Circuit breaker',
      description: `Of each server: closed is normal, the portal is asked. Open: it is left alone after failures in a row, and the
        fail mode decides. Half-open: a few trial calls are let through. If it does not close: ${command('breaker status')}.`,
      unit: 'short',
      width: 3,
      height: HEIGHT,
    },
    [[series('ocserv.circuit_breaker.state'), '{{instance}}']],
  ).mappings([BREAKER_STATES]),

  stat(
    {
      title: 'Servers without the portal',
      description: `How many servers had an error as their last word from the portal. 0 is normal; one for a moment is a hiccup.
        If it stays: ${command('status')} names the error, ${command('doctor')} the cure.`,
      unit: 'short',
      width: 3,
      height: HEIGHT,
    },
    [
      [
        `sum(${series('ocserv.portal.last_error_timestamp_seconds')} > bool ${series('ocserv.portal.last_success_timestamp_seconds')})`,
        'servers',
      ],
    ],
  ).thresholds(thresholds(COLOURS.good, [1, COLOURS.bad])),

  stat(
    {
      title: 'Portal last answered',
      description: `The longest that any server has had no answer. It is asked only when somebody comes or something is to be
        reported, so at night hours are normal; look at it together with the panel before.`,
      unit: 's',
      width: 3,
      height: HEIGHT,
    },
    [[`max(time() - ${series('ocserv.portal.last_success_timestamp_seconds')})`, 'ago']],
  )
    .mappings([NEVER])
    .decimals(0)
    .thresholds(thresholds(COLOURS.neutral)),

  stat(
    {
      title: 'Sessions now',
      description: `Sessions that began and have not ended, all servers together. Compare with the same hour of another day; a
        fall to nothing while the breaker is open means that nobody gets in.`,
      unit: 'short',
      width: 3,
      height: HEIGHT,
    },
    [[`sum(${series('ocserv.sessions.active')})`, 'sessions']],
  ).thresholds(thresholds(COLOURS.neutral)),

  stat(
    {
      title: 'Events waiting',
      description: `Reports of sessions that the portal has not taken yet, all servers together. Near 0 is normal. While the
        portal is away they gather, and nothing is lost; if they stay after that: ${command('events status')}.`,
      unit: 'short',
      width: 3,
      height: HEIGHT,
    },
    [[`sum(${series('ocserv.events.pending')})`, 'events']],
  ).thresholds(thresholds(COLOURS.good, [100, COLOURS.attention], [10_000, COLOURS.bad])),

  stat(
    {
      title: 'Decided without the portal in the last hour',
      description: `Connects that were decided although the portal could not be asked: stale, by its last answer; fail-open, let in
        unchecked; fail-close, denied; emergency, let in by resilience.emergency_users. 0 is normal for each.`,
      unit: 'short',
      width: 6,
      height: HEIGHT,
    },
    [
      [
        sumBy(
          'source',
          `increase(${series('ocserv.hook.decisions_total', { source: '=~stale|fail-open|fail-close|emergency' })}[1h])`,
        ),
        '{{source}}',
      ],
    ],
  )
    .decimals(0)
    .thresholds(thresholds(COLOURS.good, [0.5, COLOURS.attention])),

  stat(
    {
      title: 'Next certificate expires in',
      description: `The first to expire of the agents', the CA's and the portal's certificates. Under 14 days somebody should renew
        it; once it has expired the portal cannot be asked. Which one it is stands at the end.`,
      unit: 's',
      width: 3,
      height: HEIGHT,
    },
    [[`min(${series('ocserv.certificate.expiry_timestamp_seconds')} > 0) - time()`, 'left']],
  )
    .decimals(0)
    .thresholds(thresholds(COLOURS.bad, [2 * DAY, COLOURS.attention], [14 * DAY, COLOURS.good])),
];
