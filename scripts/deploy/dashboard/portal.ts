import { BREAKER_STATES } from './now.ts';
import { command, stacked, stateTimeline, timeSeries } from './panels.ts';
import { countPerMinute, perMinute, quantile, rate, series, sumBy } from './queries.ts';

const CALL = 'ocserv.portal.call.duration';
const failed = `sum(${rate(series(CALL, { grpc_code: '!=OK' }, '_count'))})`;
const all = `sum(${rate(series(CALL, {}, '_count'))})`;

export const PORTAL = [
  timeSeries(
    {
      title: 'Portal latency: CheckPolicy',
      description: `How long a connect waits for the portal, connecting, TLS and retries included: half of the calls took less than p50,
        95 of 100 less than p95. Tens of milliseconds are normal. Near portal.timeout (3 s) calls are given up and the fail mode decides:
        look at the portal, its database, the way there. Of all chosen servers.`,
      unit: 's',
      width: 8,
    },
    [
      [quantile(0.5, CALL, { rpc: 'CheckPolicy' }), 'p50'],
      [quantile(0.95, CALL, { rpc: 'CheckPolicy' }), 'p95'],
      [quantile(0.99, CALL, { rpc: 'CheckPolicy' }), 'p99'],
    ],
  ),
  timeSeries(
    {
      title: 'Portal latency by call (p95)',
      description: `CheckPolicy keeps a user waiting; the Report calls and ValidateSession are made behind everybody's back. If one of them
        is slow and the others are not, it is that call in the portal; if all are, it is the portal or the network.`,
      unit: 's',
      width: 8,
    },
    [[quantile(0.95, CALL, {}, ['rpc']), '{{rpc}}']],
  ),
  stacked(
    {
      title: 'Calls to the portal',
      description: `Of all chosen servers, failed ones too. CheckPolicy follows the connects that the cache does not answer, the others the
        sessions. While the breaker is open there are next to none.`,
      unit: 'suffix:/min',
      width: 8,
    },
    [[sumBy('rpc', countPerMinute(CALL)), '{{rpc}}']],
  ),
  stacked(
    {
      title: 'Calls that failed, by gRPC code',
      description: `None is normal. UNAVAILABLE: it cannot be reached, or its certificate is refused. DEADLINE_EXCEEDED: too slow.
        UNAUTHENTICATED, PERMISSION_DENIED: it does not accept our certificate. INVALID_ARGUMENT, UNIMPLEMENTED: it does not understand us:
        compare versions. INTERNAL, UNKNOWN: its own fault. ${command('status')} has the last error in words.`,
      unit: 'suffix:/min',
      width: 8,
    },
    [[sumBy('grpc_code', countPerMinute(CALL, { grpc_code: '!=OK' })), '{{grpc_code}}']],
  ),
  timeSeries(
    {
      title: 'Share of calls that failed',
      description: `0 is normal, and 1 is an outage, though while the breaker is open only its trials are counted. In between, some
        of the portal's addresses or some kind of request fails. A gap is a time without calls, or without a failure ever.`,
      unit: 'percentunit',
      width: 4,
    },
    [[`${failed} / ${all}`, 'failed']],
  ).max(1),
  stateTimeline(
    {
      title: 'Circuit breaker over time',
      description: `A line for each server, as of each minute. closed is normal. open and half-open by turns is an outage: each half-open
        moment is a trial that failed. One server alone has a trouble of its own (network, certificate); all at once, it is the
        portal. ${command('breaker status')} says since when and why.`,
      unit: 'short',
      width: 12,
    },
    [[series('ocserv.circuit_breaker.state'), '{{instance}}']],
  ).mappings([BREAKER_STATES]),
  stacked(
    {
      title: 'Connects at the breaker, by the state they found',
      description: `Connects that the cache did not answer, of all chosen servers. Those that found it open went to the fail mode at
        once; so did most of those that found it half-open. closed alone is normal.`,
      unit: 'suffix:/min',
      width: 12,
    },
    [[sumBy('state', perMinute('ocserv.circuit_breaker.requests_total')), '{{state}}']],
  ),
  stacked(
    {
      title: 'Failures that the breaker counted',
      description: `By the state in which the call was let through. A few in closed are hiccups; resilience.circuit_breaker.failure_threshold
        in a row open it. Failures in half-open are trials that found the portal still away. Errors that a request may have provoked
        itself count once for a user.`,
      unit: 'suffix:/min',
      width: 12,
    },
    [[sumBy('state', perMinute('ocserv.circuit_breaker.failures_total')), '{{state}}']],
  ),
];
