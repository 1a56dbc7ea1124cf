import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { resourceMetrics } from './resource-metrics.ts';
import type { Snapshot } from './snapshot.ts';

/**
 * Prometheus' text format, for node_exporter's textfile collector: the names with underscores for dots, and no timestamps, which that
 * collector refuses. What OpenTelemetry would say of the target and its scope stays out: the target is node_exporter's.
 */
export function prometheusText(snapshot: Snapshot): string {
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  // A metric that has no series yet would show as a head without a body.
  const text = serializer.serialize(resourceMetrics(withoutEmpty(snapshot)));
  // `# UNIT` is of OpenMetrics; here it would be a comment like any other.
  return text.replace(/^# UNIT .*\n/gm, '');
}

function withoutEmpty(snapshot: Snapshot): Snapshot {
  const some = ({ points }: { points: readonly unknown[] }): boolean => points.length > 0;
  return {
    ...snapshot,
    counters: snapshot.counters.filter(some),
    histograms: snapshot.histograms.filter(some),
    gauges: snapshot.gauges.filter(some),
  };
}
