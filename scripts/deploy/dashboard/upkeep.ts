import { NEVER } from './now.ts';
import { barGauge, COLOURS, command, DAY, table, thresholdLine, thresholds, timeSeries } from './panels.ts';
import { series } from './queries.ts';

export const UPKEEP = [
  barGauge(
    {
      title: 'Certificates: time left',
      description: `agent: this server's own (portal.tls.cert_file). ca: of the portal's authority (portal.tls.ca_file; of several the one
        that holds longest). portal: the portal's own, as it was last met. Renew at 14 days; once one has expired the portal cannot be
        asked. A new file is taken by the next connect. ${command('doctor')} checks them.`,
      unit: 's',
      width: 8,
    },
    [
      [
        `(${series('ocserv.certificate.expiry_timestamp_seconds')} > 0) - time()`,
        '{{instance}} {{certificate}}',
      ],
    ],
  )
    .decimals(0)
    .min(0)
    .max(90 * DAY)
    .thresholds(thresholds(COLOURS.bad, [2 * DAY, COLOURS.attention], [14 * DAY, COLOURS.good])),
  thresholdLine(
    timeSeries(
      {
        title: 'Since maintain last ran',
        description: `Of each server, as of its figures. Under two minutes is normal, for cron should run it every minute. Above the line
          (10 minutes) nobody reports the traffic of sessions or delivers what hooks left: run ${command('maintain')} by hand and see what
          fails. Decades: it has never run.`,
        unit: 's',
        width: 4,
      },
      [
        [
          `${series('ocserv.metrics.timestamp_seconds')} - ${series('ocserv.maintain.last_run_timestamp_seconds')}`,
          '{{instance}}',
        ],
      ],
    ),
    thresholds(COLOURS.none, [600, COLOURS.bad]),
  ).mappings([NEVER]),
  thresholdLine(
    timeSeries(
      {
        title: 'Age of these figures',
        description: `Of each server. A saw under a minute or two is normal, for cron writes them every minute. Above the line (5 minutes)
          nothing on this page can be trusted: run ${command('metrics show --format prometheus')} there and see what it says.`,
        unit: 's',
        width: 4,
      },
      [[`time() - ${series('ocserv.metrics.timestamp_seconds')}`, '{{instance}}']],
    ),
    thresholds(COLOURS.none, [300, COLOURS.bad]),
  ),
  timeSeries(
    {
      title: 'Decisions kept',
      description: `Entries in each server's cache, fresh or not; they are what an outage of the portal is survived on. About as many as users
        and addresses of the last half hour. At resilience.cache.max_size the least recently used go.`,
      unit: 'short',
      width: 8,
    },
    [[series('ocserv.cache.size'), '{{instance}}']],
  ),
  table(
    {
      title: 'Servers',
      description: `Who reports here, with which version, and since when its state counts. A state that is younger than the server was
        begun anew, because it was corrupt or removed: ${command('doctor')} looks for what was set aside.`,
      unit: 'dateTimeAsIso',
      width: 24,
      height: 6,
    },
    [
      `1000 * ${series('ocserv.state.created_timestamp_seconds')} * on (job, instance) group_left (version, instance_id) ${series('ocserv.agent.info')}`,
      '',
    ],
  ).withTransformation({
    id: 'organize',
    options: {
      excludeByName: { Time: true, job: true },
      indexByName: { instance: 0, version: 1, Value: 2, instance_id: 3 },
      renameByName: { instance: 'Server', version: 'Version', Value: 'Counts since', instance_id: 'State' },
    },
  }),
];
