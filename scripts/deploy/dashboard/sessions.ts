import { COLOURS, command, thresholdLine, thresholds, timeSeries } from './panels.ts';
import { perMinute, series, sumBy } from './queries.ts';

export const SESSIONS = [
  timeSeries(
    {
      title: 'Live sessions',
      description: `Of each server: began and not ended, as its state has it. Sudden steps down are restarts of ocserv or of a network. If it
        only ever grows, ends are not noticed: see that cron runs ${command('maintain')}, and try ${command('sessions sync')}.`,
      unit: 'short',
      width: 8,
    },
    [[series('ocserv.sessions.active'), '{{instance}}']],
  ),
  timeSeries(
    {
      title: 'Events that wait, and set aside',
      description: `Of each server. Waiting: what the portal has not taken yet; it should fall to 0 within seconds, and grows while the
        portal is away. Set aside: what the portal cannot accept as it is; each is a session that is wrong in its accounting:
        ${command('events list --failed')}.`,
      unit: 'short',
      width: 8,
    },
    [
      [series('ocserv.events.pending'), '{{instance}} waiting'],
      [series('ocserv.events.failed'), '{{instance}} set aside'],
    ],
  ),
  thresholdLine(
    timeSeries(
      {
        title: 'Age of the oldest event',
        description: `Of each server; 0 when none waits. Some seconds are normal. Above the line (15 minutes) the portal is away, refuses it, or
          nothing delivers: ${command('events status')} says which, ${command('events flush')} sends all now.`,
        unit: 's',
        width: 8,
      },
      [[series('ocserv.events.oldest_pending_seconds'), '{{instance}}']],
    ),
    thresholds(COLOURS.none, [900, COLOURS.bad]),
  ),
  timeSeries(
    {
      title: 'Events delivered',
      description: `By type, of all chosen servers. Each session has one connect and one disconnect, and updates with its traffic while it
        lasts (from ${command('maintain')}). No updates while sessions are live: cron does not run it.`,
      unit: 'suffix:/min',
      width: 12,
    },
    [[sumBy('type', perMinute('ocserv.events.delivered_total')), '{{type}}']],
  ),
  timeSeries(
    {
      title: 'Events given up',
      description: `By type, of all chosen servers. None is normal. Connects and updates go when more than events.max_pending wait; a
        disconnect only by hand, or when it could not be accepted and sessions.keep is over: its traffic is then in the log alone.`,
      unit: 'suffix:/min',
      width: 12,
    },
    [[sumBy('type', perMinute('ocserv.events.dropped_total')), '{{type}}']],
  ),
];
