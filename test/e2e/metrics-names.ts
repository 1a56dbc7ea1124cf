import { type Attributes, COUNTERS, GAUGES, HISTOGRAMS, type Metric } from '../../src/metrics/catalogue.ts';

/** Name in Prometheus → what its series are known by, beside the server. */
export const METRICS = new Map<string, readonly string[]>([
  ...Object.entries(COUNTERS).map(([name, { series }]) => [underscored(name), labelsOf(series)] as const),
  ...Object.entries<Metric>(GAUGES).map(([name, { labels = [] }]) => [underscored(name), labels] as const),
  ...Object.entries(HISTOGRAMS).flatMap(([name, { series }]) => {
    const labels = labelsOf(series);
    return [
      [`${underscored(name)}_bucket`, [...labels, 'le']] as const,
      [`${underscored(name)}_sum`, labels] as const,
      [`${underscored(name)}_count`, labels] as const,
    ];
  }),
]);

function labelsOf(series: readonly Attributes[]): string[] {
  return [...new Set(series.flatMap(Object.keys))];
}

/** Of whatever is scraped. */
export const OF_THE_TARGET = ['job', 'instance'];

export function underscored(name: string): string {
  return name.replaceAll('.', '_');
}
