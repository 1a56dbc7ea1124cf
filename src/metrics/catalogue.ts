/**
 * Every metric, by the names of contract/cli.md, "Metrics". `unit` is UCUM, as OpenTelemetry has it. What stands under `series` is known
 * beforehand and shows as 0 until it is counted, so that the first one of its kind is an increase and not a new series.
 */
export interface Metric {
  readonly unit: string;
  readonly description: string;
  /** The names of its attributes, where it has some and no series are known beforehand. */
  readonly labels?: readonly string[];
}

export interface Counter extends Metric {
  readonly series: readonly Attributes[];
}

/** Of few values each, and never of one that a client chooses. */
export type Attributes = Readonly<Record<string, string>>;

const NO_ATTRIBUTES: readonly Attributes[] = [{}];
const TYPES: readonly Attributes[] = [{ type: 'connect' }, { type: 'update' }, { type: 'disconnect' }];

/** Cumulative over all invocations since the state was created. */
export const COUNTERS = {
  'ocserv.hook.decisions_total': {
    unit: '{decision}',
    description: 'Connects decided, by what decided them and whether they were allowed',
    series: [
      { source: 'portal', allowed: 'true' },
      { source: 'portal', allowed: 'false' },
      { source: 'cache', allowed: 'true' },
      { source: 'cache', allowed: 'false' },
      { source: 'stale', allowed: 'true' },
      { source: 'stale', allowed: 'false' },
      { source: 'fail-open', allowed: 'true' },
      { source: 'fail-close', allowed: 'false' },
      { source: 'emergency', allowed: 'true' },
      { source: 'invalid', allowed: 'false' },
    ],
  },
  'ocserv.circuit_breaker.requests_total': {
    unit: '{request}',
    description: 'Decisions that asked the circuit breaker for admission, by the state they found it in',
    series: [{ state: 'closed' }, { state: 'open' }, { state: 'half-open' }],
  },
  'ocserv.circuit_breaker.failures_total': {
    unit: '{failure}',
    description:
      'Portal calls that the circuit breaker counted as failures, by the state it admitted them in',
    series: [{ state: 'closed' }, { state: 'half-open' }],
  },
  'ocserv.cache.hits_total': {
    unit: '{decision}',
    description: 'Decisions answered by a fresh cached one, denials too',
    series: NO_ATTRIBUTES,
  },
  'ocserv.cache.misses_total': {
    unit: '{decision}',
    description: 'Decisions that the cache had no answer for',
    series: NO_ATTRIBUTES,
  },
  'ocserv.cache.stale_hits_total': {
    unit: '{decision}',
    description: 'Decisions answered by a stale cached one, because the portal could not be asked',
    series: NO_ATTRIBUTES,
  },
  'ocserv.events.delivered_total': {
    unit: '{event}',
    description: 'Session events that the portal took',
    series: TYPES,
  },
  'ocserv.events.dropped_total': {
    unit: '{event}',
    description:
      'Session events given up: past events.max_pending, by hand, or failed and past sessions.keep',
    series: TYPES,
  },
} as const satisfies Readonly<Record<string, Counter>>;

export type CounterName = keyof typeof COUNTERS;

export const HISTOGRAMS = {
  'ocserv.hook.duration': {
    unit: 's',
    description:
      "From the start of the hook's process until what it decided or recorded was written, by REASON",
    series: [{ reason: 'connect' }, { reason: 'disconnect' }, { reason: 'host-update' }],
  },
  'ocserv.portal.call.duration': {
    unit: 's',
    description: 'Calls to the portal, connecting and retries included, by rpc and by what they ended with',
    series: [
      { rpc: 'CheckPolicy', grpc_code: 'OK' },
      { rpc: 'CheckPolicy', grpc_code: 'UNAVAILABLE' },
      { rpc: 'CheckPolicy', grpc_code: 'DEADLINE_EXCEEDED' },
      { rpc: 'ReportConnect', grpc_code: 'OK' },
      { rpc: 'ReportDisconnect', grpc_code: 'OK' },
      { rpc: 'ReportSessionUpdate', grpc_code: 'OK' },
      { rpc: 'ValidateSession', grpc_code: 'OK' },
    ],
  },
} as const satisfies Readonly<Record<string, Counter>>;

export type HistogramName = keyof typeof HISTOGRAMS;

/** Seconds. Upper bounds, inclusive; above the last one is one more bucket. Other bounds need a migration: counts are kept by place. */
export const BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** What holds at the moment of looking. Times are Unix seconds, 0 where there has been none. */
export const GAUGES = {
  'ocserv.circuit_breaker.state': {
    unit: '',
    description: 'The state that holds now: 0 closed, 1 open, 2 half-open',
  },
  'ocserv.cache.size': { unit: '{entry}', description: 'Decisions kept, fresh or not' },
  'ocserv.events.pending': { unit: '{event}', description: 'Session events that wait for the portal' },
  'ocserv.events.failed': {
    unit: '{event}',
    description: 'Session events set aside, because the portal cannot accept them as they are',
  },
  'ocserv.events.oldest_pending_seconds': {
    unit: 's',
    description: 'Age of the oldest event that waits; 0 when none does',
  },
  'ocserv.sessions.active': { unit: '{session}', description: 'Sessions that began and have not ended' },
  'ocserv.portal.last_success_timestamp_seconds': { unit: 's', description: 'When the portal last answered' },
  'ocserv.portal.last_error_timestamp_seconds': {
    unit: 's',
    description: 'When the portal last could not be asked, or answered with an error',
  },
  'ocserv.certificate.expiry_timestamp_seconds': {
    unit: 's',
    labels: ['certificate'],
    description:
      'When a certificate expires, by whose it is: agent and ca as their files say, portal as it was last met',
  },
  'ocserv.maintain.last_run_timestamp_seconds': {
    unit: 's',
    description: 'When maintain last came to its end',
  },
  'ocserv.metrics.timestamp_seconds': {
    unit: 's',
    description: 'When these figures were read from the state',
  },
  'ocserv.state.created_timestamp_seconds': {
    unit: 's',
    description: 'When the state was created, and all counters began at 0',
  },
  'ocserv.agent.info': {
    unit: '',
    labels: ['version', 'instance_id'],
    description: 'Always 1: the version, and which state the counters are of',
  },
} as const satisfies Readonly<Record<string, Metric>>;

export type GaugeName = keyof typeof GAUGES;
