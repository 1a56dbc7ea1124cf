import type { CounterName, GaugeName, HistogramName } from '../../../src/metrics/catalogue.ts';

/** Labels and what they must match: `=` unless the value begins with another of Prometheus' operators. */
export type Matchers = Readonly<Record<string, string>>;

export type MetricName = CounterName | GaugeName | HistogramName;

export function prometheusName(name: MetricName): string {
  return name.replaceAll('.', '_');
}

/** Of the servers that are chosen at the top. */
export function series(name: MetricName, matchers: Matchers = {}, suffix = ''): string {
  const labels = Object.entries(matchers).map(([label, value]) => {
    const operator = /^(?:=~|!=|!~)/.exec(value)?.[0] ?? '=';
    return `${label}${operator}"${value.replace(/^(?:=~|!=|!~)/, '')}"`;
  });
  return `${prometheusName(name)}${suffix}{${['instance=~"$instance"', ...labels].join(', ')}}`;
}

/** How many a minute, which for connects says more than how many a second. */
export function perMinute(name: CounterName, matchers: Matchers = {}): string {
  return `60 * ${rate(series(name, matchers))}`;
}

export function countPerMinute(name: HistogramName, matchers: Matchers = {}): string {
  return `60 * ${rate(series(name, matchers, '_count'))}`;
}

/** Over all servers that are chosen: quantiles of each could not be put together. */
export function quantile(q: number, name: HistogramName, matchers: Matchers, by: readonly string[] = []) {
  const buckets = sumBy(['le', ...by].join(', '), rate(series(name, matchers, '_bucket')));
  return `histogram_quantile(${q}, ${buckets})`;
}

export function sumBy(labels: string, expr: string): string {
  return `sum by (${labels}) (${expr})`;
}

/** Its range is that of MIN_STEP, at least: see panels.ts. */
export function rate(selector: string): string {
  return `rate(${selector}[$__rate_interval])`;
}
