import { timeSeries } from './panels.ts';
import { countPerMinute, quantile, sumBy } from './queries.ts';

const DURATION = 'ocserv.hook.duration';

export const HOOKS = [
  timeSeries(
    {
      title: 'Duration of a connect',
      description: `From the start of the hook's process until its decision was written: what ocserv, and the user, wait for. By the cache
        tens of milliseconds, by the portal as long as it takes. It never exceeds hook.deadline (8 s). p99 near it: the portal is slow
        or this machine is starved. Of all chosen servers.`,
      unit: 's',
      width: 8,
    },
    [
      [quantile(0.5, DURATION, { reason: 'connect' }), 'p50'],
      [quantile(0.95, DURATION, { reason: 'connect' }), 'p95'],
      [quantile(0.99, DURATION, { reason: 'connect' }), 'p99'],
    ],
  ),
  timeSeries(
    {
      title: 'Duration by REASON (p95)',
      description: `disconnect and host-update never ask the portal, so they show how fast this machine and its disk are: over half a second
        it is overloaded, or the state is on a slow disk. A connect has the portal's time in it.`,
      unit: 's',
      width: 8,
    },
    [[quantile(0.95, DURATION, {}, ['reason']), '{{reason}}']],
  ),
  timeSeries(
    {
      title: 'Hooks, by REASON',
      description: `What ocserv has called, of all chosen servers. Connects and disconnects follow each other over a day; a peak of both
        is a network that broke and came back.`,
      unit: 'suffix:/min',
      width: 8,
    },
    [[sumBy('reason', countPerMinute(DURATION)), '{{reason}}']],
  ),
];
