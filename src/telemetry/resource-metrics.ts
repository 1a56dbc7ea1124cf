import { hostname } from 'node:os';
import { ValueType } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import { BUCKETS } from '../metrics/catalogue.ts';
import type { Measured, Snapshot } from './snapshot.ts';

/** A snapshot as OpenTelemetry models it: cumulative since the state's creation, of a service instance that is the state. */
export function resourceMetrics(snapshot: Snapshot): ResourceMetrics {
  const { createdAt, takenAt, instanceId, version, counters, histograms, gauges } = snapshot;
  const startTime = hrTime(createdAt);
  const endTime = hrTime(takenAt);
  const metrics: MetricData[] = [
    ...counters.map(
      (metric): MetricData => ({
        descriptor: descriptorOf(metric, ValueType.INT),
        dataPointType: DataPointType.SUM,
        isMonotonic: true,
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPoints: metric.points.map((point) => ({ ...point, startTime, endTime })),
      }),
    ),
    ...histograms.map(
      (metric): MetricData => ({
        descriptor: descriptorOf(metric, ValueType.DOUBLE),
        dataPointType: DataPointType.HISTOGRAM,
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPoints: metric.points.map(({ attributes, buckets, sum }) => ({
          attributes,
          startTime,
          endTime,
          value: {
            buckets: { boundaries: [...BUCKETS], counts: [...buckets] },
            count: buckets.reduce((all, one) => all + one, 0),
            sum,
          },
        })),
      }),
    ),
    ...gauges.map(
      (metric): MetricData => ({
        descriptor: descriptorOf(metric, ValueType.DOUBLE),
        dataPointType: DataPointType.GAUGE,
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPoints: metric.points.map((point) => ({ ...point, startTime, endTime })),
      }),
    ),
  ];
  return {
    resource: resourceFromAttributes({
      'service.name': 'ocagent-hook',
      'service.version': version,
      'service.instance.id': instanceId,
      'host.name': hostname(),
    }),
    scopeMetrics: [{ scope: { name: 'ocagent-hook', version }, metrics }],
  };
}

function descriptorOf(
  { name, unit, description }: Measured<string, unknown>,
  valueType: ValueType,
): MetricData['descriptor'] {
  return { name, unit, description, valueType };
}

/** Seconds and nanoseconds, as OpenTelemetry counts. */
function hrTime(wall: number): [number, number] {
  return [Math.floor(wall / 1_000), (wall % 1_000) * 1_000_000];
}
