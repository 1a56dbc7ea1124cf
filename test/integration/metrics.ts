import assert from 'node:assert/strict';
import type { RpcName } from '../../scripts/portal/policy.ts';
import type { Portal } from '../../scripts/portal/portal.ts';
import { readExposition } from '../unit/exposition.ts';
import type { Agent, Run } from './agent.ts';

type Attributes = Readonly<Record<string, string>>;

interface Bucket {
  readonly le: number;
  readonly count: number;
}

type Point = {
  readonly attributes: Attributes;
} & (
  | { readonly value: number }
  | { readonly count: number; readonly sum: number; readonly buckets: Bucket[] }
);

/** `metrics show --format json`. */
export interface MetricsDocument {
  readonly instance_id: string;
  readonly version: string;
  readonly created_at: string;
  readonly time: string;
  readonly metrics: readonly {
    readonly name: string;
    readonly type: 'counter' | 'histogram' | 'gauge';
    readonly unit: string;
    readonly description: string;
    readonly points: readonly Point[];
  }[];
}

/** `name{key="value",…}`, the keys sorted → what it counts. */
export type Series = ReadonlyMap<string, number>;

export async function documentOf(agent: Agent): Promise<MetricsDocument> {
  const { code, stdout, stderr } = await agent.command('metrics', 'show', '--format', 'json');
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout) as MetricsDocument;
}

/** Every series that `metrics show` has, in both its forms, which must say the same but for the moment they were taken at. */
export async function seriesOf(agent: Agent): Promise<Series> {
  const json = seriesIn(await documentOf(agent));
  const { code, stdout, stderr } = await agent.command('metrics', 'show');
  assert.deepEqual([code, stderr], [0, '']);
  const text = seriesInText(stdout);
  const steady = (series: Series): [string, number][] =>
    [...series].filter(([key]) => !/^ocserv_(metrics_timestamp|events_oldest_pending)/.test(key)).sort();
  assert.deepEqual(steady(text), steady(json));
  return json;
}

function seriesIn({ metrics }: MetricsDocument): Series {
  const series = metrics.flatMap(({ name: dotted, type, points }) => {
    const name = dotted.replaceAll('.', '_');
    return points.flatMap((point): [string, number][] => {
      const { attributes } = point;
      if ('value' in point) {
        assert.notEqual(type, 'histogram');
        return [[key(name, attributes), point.value]];
      }
      assert.equal(type, 'histogram');
      return [
        ...point.buckets.map(({ le, count }): [string, number] => [
          key(`${name}_bucket`, { ...attributes, le: String(le) }),
          count,
        ]),
        [key(`${name}_bucket`, { ...attributes, le: '+Inf' }), point.count],
        [key(`${name}_count`, attributes), point.count],
        [key(`${name}_sum`, attributes), point.sum],
      ];
    });
  });
  const map = new Map(series);
  assert.equal(map.size, series.length, 'each series once');
  return map;
}

export function seriesInText(text: string): Series {
  return new Map(
    readExposition(text).flatMap(({ samples }) =>
      samples.map(({ name, labels, value }) => [key(name, labels), value] as const),
    ),
  );
}

export function key(name: string, attributes: Attributes): string {
  const pairs = Object.entries(attributes).sort();
  return pairs.length === 0 ? name : `${name}{${pairs.map(([k, v]) => `${k}="${v}"`).join(',')}}`;
}

/** The series of one metric that have counted anything, without its name. */
export function counted(series: Series, name: string): Record<string, number> {
  const own = [...series].filter(
    ([one, value]) => (one === name || one.startsWith(`${name}{`)) && value !== 0,
  );
  return Object.fromEntries(own.map(([one, value]) => [one.slice(name.length), value]).sort());
}

export function sum(series: Series, name: string): number {
  return Object.values(counted(series, name)).reduce((all, one) => all + one, 0);
}

/** How many there are of each kind, as `counted` has them. */
export function tally(each: Iterable<Attributes>): Record<string, number> {
  const counts = new Map<string, number>();
  for (const attributes of each) {
    const one = key('', attributes);
    counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort());
}

/** The calls that the portal has answered, as `counted` has ocserv_portal_call_duration_count. */
export function answeredBy(portal: Portal): Record<string, number> {
  return tally(portal.calls.map(({ rpc, answer }) => ({ grpc_code: answer?.status ?? 'in flight', rpc })));
}

/** How often the portal took each event, by its type; repeats of one that it had taken are not counted. */
export function takenBy(portal: Portal): Record<string, number> {
  const types: [RpcName, string][] = [
    ['ReportConnect', 'connect'],
    ['ReportDisconnect', 'disconnect'],
    ['ReportSessionUpdate', 'update'],
  ];
  return tally(
    types.flatMap(([rpc, type]) => {
      const taken = portal.callsOf(rpc).filter(({ answer }) => answer?.status === 'OK');
      return [...new Set(taken.map(({ eventId }) => eventId))].map(() => ({ type }));
    }),
  );
}

/** What the decision lines of many hooks say, as the counters have it. */
export function saidBy(runs: readonly Run[]): {
  readonly decisions: Record<string, number>;
  readonly cache: Record<string, number>;
} {
  const lines = runs.flatMap(({ decision }) => (decision === undefined ? [] : [decision]));
  return {
    decisions: tally(
      lines.map(({ allowed, source }) => ({ allowed: String(allowed), source: String(source) })),
    ),
    cache: tally(lines.map(({ cache }) => ({ state: (cache as { state: string }).state }))),
  };
}
