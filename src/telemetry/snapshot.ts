import type { Config } from '../config/schema.ts';
import {
  type Attributes,
  BUCKETS,
  COUNTERS,
  type Counter,
  type CounterName,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
  type HistogramName,
} from '../metrics/catalogue.ts';
import { breakerRules } from '../policy/rules.ts';
import { readCertificates } from '../portal/certificates.ts';
import { type BreakerState, settleTime } from '../resilience/circuit-breaker.ts';
import { loadBreaker } from '../state/breaker.ts';
import { contactTimes } from '../state/contact.ts';
import { type Counted, counted, type Observed, observed } from '../state/counters.ts';
import { decisionCount } from '../state/decisions.ts';
import { lastMaintainRun } from '../state/maintenance.ts';
import { originOf } from '../state/origin.ts';
import { tallyOutbox } from '../state/outbox-list.ts';
import { liveSessionCount } from '../state/sessions.ts';
import type { Transaction } from '../state/transaction.ts';

export interface Measured<Name, P> {
  readonly name: Name;
  readonly unit: string;
  readonly description: string;
  readonly points: readonly P[];
}

/** All metrics as one moment of the state has them. */
export interface Snapshot {
  /** Wall milliseconds at which the state was created and all counting began. */
  readonly createdAt: number;
  readonly takenAt: number;
  /** Random, and another one when the state had to be begun anew. */
  readonly instanceId: string;
  readonly version: string;
  readonly counters: readonly Measured<CounterName, Counted>[];
  readonly histograms: readonly Measured<HistogramName, Observed>[];
  readonly gauges: readonly Measured<GaugeName, Counted>[];
}

const NOTHING_OBSERVED = { buckets: [...BUCKETS, Number.POSITIVE_INFINITY].map(() => 0), sum: 0 };

export function takeSnapshot(tx: Transaction, config: Config): Snapshot {
  const { createdAt, instanceId } = originOf(tx);
  const version = process.env['OCAGENT_VERSION'] ?? '0.0.0';
  const origin = { createdAt, takenAt: tx.now.wall, instanceId, version };
  return {
    ...origin,
    counters: namesOf(COUNTERS).map((name) => ({
      ...describe(name, COUNTERS[name]),
      points: withZeros(COUNTERS[name], { value: 0 }, counted(tx, name)),
    })),
    histograms: namesOf(HISTOGRAMS).map((name) => ({
      ...describe(name, HISTOGRAMS[name]),
      points: withZeros(HISTOGRAMS[name], NOTHING_OBSERVED, observed(tx, name)),
    })),
    gauges: gauges(tx, config, origin),
  };
}

/** Every series that is known beforehand, and what was counted besides. */
function withZeros<P extends { readonly attributes: Attributes }>(
  { series }: Counter,
  zero: Omit<P, 'attributes'>,
  found: readonly P[],
): P[] {
  const sorted = (attributes: Attributes): Attributes =>
    Object.fromEntries(Object.entries(attributes).sort());
  const zeros = series.map((attributes) => ({ ...zero, attributes }) as P);
  const points = [...zeros, ...found].map((point) => ({ ...point, attributes: sorted(point.attributes) }));
  // What was counted comes later, and takes the place of its zero.
  return [...new Map(points.map((point) => [JSON.stringify(point.attributes), point])).values()];
}

type Origin = Pick<Snapshot, 'createdAt' | 'takenAt' | 'instanceId' | 'version'>;

const BREAKER_STATES: Readonly<Record<BreakerState['kind'], number>> = { closed: 0, open: 1, 'half-open': 2 };

function gauges(tx: Transaction, config: Config, origin: Origin): Measured<GaugeName, Counted>[] {
  const { pending, failed, oldestAt } = tallyOutbox(tx);
  const { lastSuccess, lastError, certificateExpires } = contactTimes(tx);
  const values: Readonly<Record<GaugeName, number | readonly Counted[]>> = {
    'ocserv.circuit_breaker.state':
      BREAKER_STATES[settleTime(loadBreaker(tx), breakerRules(config), tx.now).kind],
    'ocserv.cache.size': decisionCount(tx),
    'ocserv.events.pending': pending,
    'ocserv.events.failed': failed,
    'ocserv.events.oldest_pending_seconds':
      oldestAt === null ? 0 : Math.max(0, tx.now.wall - oldestAt) / 1_000,
    'ocserv.sessions.active': liveSessionCount(tx),
    'ocserv.portal.last_success_timestamp_seconds': seconds(lastSuccess),
    'ocserv.portal.last_error_timestamp_seconds': seconds(lastError),
    'ocserv.certificate.expiry_timestamp_seconds': certificates(config, certificateExpires),
    'ocserv.maintain.last_run_timestamp_seconds': seconds(lastMaintainRun(tx)),
    'ocserv.metrics.timestamp_seconds': seconds(origin.takenAt),
    'ocserv.state.created_timestamp_seconds': seconds(origin.createdAt),
    'ocserv.agent.info': [
      { attributes: { version: origin.version, instance_id: origin.instanceId }, value: 1 },
    ],
  };
  return namesOf(GAUGES).map((name) => {
    const value = values[name];
    const points = typeof value === 'number' ? [{ attributes: {}, value }] : value;
    return { ...describe(name, GAUGES[name]), points };
  });
}

/** A certificate that cannot be read has no date to show; `config check` and `doctor` say what is wrong with it. */
function certificates({ portal: { tls } }: Config, met: number | null): Counted[] {
  if (!tls.enabled) return [];
  const expiry = (file: string, of: 'first' | 'longest'): number | null => {
    try {
      const dates = readCertificates(file).map(({ validToDate }) => validToDate.getTime());
      // Of a bundle of CAs the one that holds longest: while one is valid, the bundle may do.
      return (of === 'first' ? dates[0] : Math.max(...dates)) ?? null;
    } catch {
      return null;
    }
  };
  const known = [
    { certificate: 'agent', at: expiry(tls.cert_file, 'first') },
    { certificate: 'ca', at: expiry(tls.ca_file, 'longest') },
    { certificate: 'portal', at: met },
  ];
  return known.flatMap(({ certificate, at }) =>
    at === null || !Number.isFinite(at) ? [] : [{ attributes: { certificate }, value: seconds(at) }],
  );
}

function seconds(wall: number | null): number {
  return (wall ?? 0) / 1_000;
}

function describe<Name>(
  name: Name,
  { unit, description }: { readonly unit: string; readonly description: string },
): { name: Name; unit: string; description: string } {
  return { name, unit, description };
}

function namesOf<T extends object>(of: T): (keyof T)[] {
  return Object.keys(of) as (keyof T)[];
}
