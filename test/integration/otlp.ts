import assert from 'node:assert/strict';
import { createFileRegistry, fromBinary, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { buf } from '../../scripts/proto/buf.ts';
import { key, type Series } from './metrics.ts';

/** An OTLP request, as OpenTelemetry's own messages have it (test/otlp). */
export interface Otlp {
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: { readonly name: string; readonly version: string };
  readonly metrics: readonly OtlpMetric[];
}

export interface OtlpMetric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly kind: 'sum' | 'gauge' | 'histogram';
  /** Of a gauge null. */
  readonly temporality: string | null;
  /** Of a sum only. */
  readonly monotonic: boolean | null;
  readonly points: readonly OtlpPoint[];
}

export interface OtlpPoint {
  readonly attributes: Readonly<Record<string, string>>;
  /** Unix nanoseconds. */
  readonly start: bigint;
  readonly time: bigint;
  readonly value: number;
  /** Of a histogram, whose value is its count. */
  readonly sum: number;
  readonly bounds: readonly number[];
  readonly buckets: readonly number[];
}

interface JsonAttribute {
  readonly key: string;
  readonly value: { readonly stringValue: string };
}

interface JsonPoint {
  readonly attributes: readonly JsonAttribute[];
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
  readonly asInt?: string;
  readonly asDouble?: number;
  readonly count?: string;
  readonly sum?: number;
  readonly explicitBounds?: readonly number[];
  readonly bucketCounts?: readonly string[];
}

interface JsonPoints {
  readonly dataPoints: readonly JsonPoint[];
  readonly aggregationTemporality?: string;
  readonly isMonotonic?: boolean;
}

type JsonMetric = Readonly<Record<'name' | 'unit' | 'description', string>> &
  Partial<Readonly<Record<OtlpMetric['kind'], JsonPoints>>>;

interface JsonRequest {
  readonly resourceMetrics: readonly {
    readonly resource: { readonly attributes: readonly JsonAttribute[] };
    readonly scopeMetrics: readonly {
      readonly scope: { readonly name: string; readonly version: string };
      readonly metrics: readonly JsonMetric[];
    }[];
  }[];
}

const REQUEST = messageNamed('opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest');

function messageNamed(name: string) {
  const modules = '--config={"version":"v2","modules":[{"path":"test/otlp"}]}';
  const built = buf('build', modules, '--as-file-descriptor-set', '--output=-#format=binpb');
  assert.equal(built.status, 0, built.stderr);
  const message = createFileRegistry(fromBinary(FileDescriptorSetSchema, built.stdout)).getMessage(name);
  assert.ok(message !== undefined);
  return message;
}

/**
 * Decodes the JSON of an OTLP request by the protocol's own messages, and by nothing that we or the library that we send it with
 * have made. What these do not know fails.
 */
export function decode(body: string): Otlp {
  const message = fromJson(REQUEST, JSON.parse(body) as JsonValue);
  const json = toJson(REQUEST, message, { alwaysEmitImplicit: true }) as unknown as JsonRequest;
  const [ofResource, ...otherResources] = json.resourceMetrics;
  const [ofScope, ...otherScopes] = ofResource?.scopeMetrics ?? [];
  assert.ok(ofResource !== undefined && ofScope !== undefined);
  assert.deepEqual([otherResources, otherScopes], [[], []]);
  const { name, version } = ofScope.scope;
  return {
    resource: attributesOf(ofResource.resource.attributes),
    scope: { name, version },
    metrics: ofScope.metrics.map(metricOf),
  };
}

function metricOf(json: JsonMetric): OtlpMetric {
  const { name, unit, description } = json;
  for (const kind of ['sum', 'gauge', 'histogram'] as const) {
    const points = json[kind];
    if (points === undefined) continue;
    return {
      name,
      unit,
      description,
      kind,
      temporality: points.aggregationTemporality ?? null,
      monotonic: points.isMonotonic ?? null,
      points: points.dataPoints.map(pointOf),
    };
  }
  throw new Error(`${name} is neither a sum nor a gauge nor a histogram`);
}

function pointOf(json: JsonPoint): OtlpPoint {
  return {
    attributes: attributesOf(json.attributes),
    start: BigInt(json.startTimeUnixNano),
    time: BigInt(json.timeUnixNano),
    value: Number(json.count ?? json.asInt ?? json.asDouble),
    sum: json.sum ?? 0,
    bounds: json.explicitBounds ?? [],
    buckets: (json.bucketCounts ?? []).map(Number),
  };
}

function attributesOf(json: readonly JsonAttribute[]): Record<string, string> {
  const attributes = Object.fromEntries(json.map(({ key, value }) => [key, value.stringValue]));
  assert.equal(Object.keys(attributes).length, json.length, 'each attribute once');
  return attributes;
}

/** As `seriesOf` has what `metrics show` prints. */
export function seriesIn({ metrics }: Otlp): Series {
  const series = metrics.flatMap(({ name: dotted, kind, points }) => {
    const name = dotted.replaceAll('.', '_');
    return points.flatMap(({ attributes, value, sum, bounds, buckets }): [string, number][] => {
      if (kind !== 'histogram') return [[key(name, attributes), value]];
      const upTo = (place: number): number => buckets.slice(0, place + 1).reduce((all, one) => all + one, 0);
      return [
        ...[...bounds, '+Inf'].map((le, place): [string, number] => [
          key(`${name}_bucket`, { ...attributes, le: String(le) }),
          upTo(place),
        ]),
        [key(`${name}_count`, attributes), value],
        [key(`${name}_sum`, attributes), sum],
      ];
    });
  });
  assert.equal(new Map(series).size, series.length, 'each series once');
  return new Map(series);
}
