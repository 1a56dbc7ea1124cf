import { COUNTERS, GAUGES, HISTOGRAMS, type Metric } from '../../src/telemetry/catalogue.ts';

/** Name in Prometheus → what its series are known by, beside the server. */
export const METRICS = new Map<string, readonly string[]>([
  ...Object.entries(COUNTERS).map(
    ([name, { series }]) => [underscored(name), [...new Set(series.flatMap(Object.keys))]] as const,
  ),
  ...Object.entries<Metric>(GAUGES).map(([name, { labels = [] }]) => [underscored(name), labels] as const),
  ...Object.entries<Metric>(HISTOGRAMS).flatMap(([name, { labels = [] }]) => [
    [`${underscored(name)}_bucket`, [...labels, 'le']] as const,
    [`${underscored(name)}_sum`, labels] as const,
    [`${underscored(name)}_count`, labels] as const,
  ]),
]);

/** Of whatever is scraped. */
export const OF_THE_TARGET = ['job', 'instance'];

export function underscored(name: string): string {
  return name.replaceAll('.', '_');
}
