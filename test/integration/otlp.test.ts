import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, test } from 'node:test';
import { BUCKETS, COUNTERS, GAUGES, HISTOGRAMS } from '../../src/metrics/catalogue.ts';
import { type Agent, LAUNCHER } from './agent.ts';
import { Collector } from './collector.ts';
import { gone, stderrOf } from './events.ts';
import { withPortal } from './fixture.ts';
import { documentOf, seriesOf } from './metrics.ts';
import { decode, type Otlp, seriesIn } from './otlp.ts';

const STATS = { STATS_BYTES_IN: '5', STATS_BYTES_OUT: '6', STATS_DURATION: '7' };
/** What is sent is sent by the test's own commands alone. */
const QUIET = 'interval = "1d"';
const CUMULATIVE = 'AGGREGATION_TEMPORALITY_CUMULATIVE';

/** What `metrics export` sends now. */
async function exported(agent: Agent, collector: Collector): Promise<Otlp> {
  const { code, stdout } = await agent.command('metrics', 'export');
  assert.equal(code, 0, stdout);
  return decode(collector.requests.at(-1)?.body ?? '');
}

function nanoseconds(rfc3339: string): bigint {
  return BigInt(Date.parse(rfc3339)) * 1_000_000n;
}

const pointsOf = ({ metrics }: Otlp) => metrics.flatMap(({ points }) => points);

describe('what a collector gets', () => {
  const fixture = withPortal({ default: { allowed: true }, users: { carol: { allowed: false } } });

  /** An installation on which a little has happened. */
  const used = async (collector: Collector): Promise<Agent> => {
    const agent = await fixture.install(`[events]\n${collector.configWith(QUIET)}`);
    await agent.connect('alice');
    await agent.connect('alice', { ID: '2' });
    await agent.connect('carol');
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(3, undefined);
    await gone(agent);
    collector.forget();
    return agent;
  };

  test('is one request of OTLP in JSON, which the protocol’s own messages can read', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const { scope } = await exported(agent, collector);
    const [request, ...others] = collector.requests;
    assert.deepEqual(others, []);
    assert.deepEqual([request?.method, request?.url], ['POST', '/v1/metrics']);
    assert.equal(request?.headers['content-type'], 'application/json');
    assert.deepEqual(scope, { name: 'ocagent-hook', version: (await documentOf(agent)).version });
  });

  test('comes from a service instance that is the state, on this host', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const { resource } = await exported(agent, collector);
    const { version, instance_id } = await documentOf(agent);
    assert.deepEqual(resource, {
      'service.name': 'ocagent-hook',
      'service.version': version,
      'service.instance.id': instance_id,
      'host.name': hostname(),
    });
    const [made] = agent.query<{ value: string }>(`SELECT value FROM meta WHERE name = 'instance_id'`);
    assert.equal(instance_id, made?.value);
  });

  test('has every metric of the catalogue once, as what it is, with unit and description', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const { metrics } = await exported(agent, collector);
    const expected = (
      [
        ['sum', COUNTERS],
        ['histogram', HISTOGRAMS],
        ['gauge', GAUGES],
      ] as const
    ).flatMap(([kind, catalogue]) =>
      Object.entries(catalogue).map(([name, { unit, description }]) => [name, kind, unit, description]),
    );
    assert.deepEqual(
      metrics.map(({ name, kind, unit, description }) => [name, kind, unit, description]),
      expected,
    );
    for (const { name, points } of metrics) assert.ok(points.length > 0, name);
  });

  test('is cumulative, and its sums never decrease', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    for (const { name, kind, temporality, monotonic } of (await exported(agent, collector)).metrics) {
      assert.equal(temporality, kind === 'gauge' ? null : CUMULATIVE, name);
      assert.equal(monotonic, kind === 'sum' ? true : null, name);
    }
  });

  test('is what metrics show prints, series by series', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const steady = (series: ReadonlyMap<string, number>): [string, number][] =>
      [...series].filter(([name]) => !name.startsWith('ocserv_metrics_timestamp')).sort();
    const sent = seriesIn(await exported(agent, collector));
    assert.deepEqual(steady(sent), steady(await seriesOf(agent)));
    assert.equal(sent.get('ocserv_events_delivered_total{type="connect"}'), 2);
  });

  test('has histograms whose buckets are those of the catalogue, and add up', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const histograms = (await exported(agent, collector)).metrics.filter(({ kind }) => kind === 'histogram');
    const points = histograms.flatMap((histogram) => histogram.points);
    assert.ok(points.filter(({ value }) => value > 0).length >= 2);
    for (const point of points) {
      assert.deepEqual(point.bounds, BUCKETS);
      assert.equal(point.buckets.length, BUCKETS.length + 1);
      assert.equal(
        point.buckets.reduce((all, one) => all + one, 0),
        point.value,
      );
      assert.equal(point.value > 0, point.sum > 0);
    }
  });

  test('begins with the state’s creation, the same in each export, and never decreases', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const start = nanoseconds((await documentOf(agent)).created_at);
    const began = BigInt(Date.now()) * 1_000_000n;
    let before = await exported(agent, collector);
    for (const user of ['alice', 'carol', 'dave']) {
      await agent.connect(user);
      const now = await exported(agent, collector);
      for (const { start: own, time } of pointsOf(now)) {
        assert.equal(own, start);
        assert.ok(time >= began && time <= BigInt(Date.now()) * 1_000_000n);
      }
      assert.equal(new Set(pointsOf(now).map(({ time }) => time)).size, 1, 'all of one moment');
      assert.ok((pointsOf(now)[0]?.time ?? 0n) > (pointsOf(before)[0]?.time ?? 0n));
      const after = seriesIn(now);
      for (const [series, value] of seriesIn(before)) {
        if (!/_total|_bucket|_count|_sum/.test(series)) continue;
        assert.ok((after.get(series) ?? -1) >= value, `${series}: ${value}, then ${after.get(series)}`);
      }
      before = now;
    }
  });

  test('is of another instance, with another start and from 0 on, once the state was begun anew', async () => {
    await using collector = await Collector.start();
    await using agent = await used(collector);
    const old = await exported(agent, collector);
    for (const suffix of ['', '-wal', '-shm']) rmSync(agent.state + suffix);
    const renewed = await exported(agent, collector);
    assert.notEqual(renewed.resource['service.instance.id'], old.resource['service.instance.id']);
    const [was, is] = [pointsOf(old)[0]?.start ?? 0n, pointsOf(renewed)[0]?.start ?? 0n];
    assert.ok(is > was);
    assert.equal(is, nanoseconds((await documentOf(agent)).created_at));
    assert.ok(seriesIn(renewed).get('ocserv_cache_hits_total') === 0);
  });

  test('is the same whatever OTEL_ variables the surroundings have, of a command and of a drain', async () => {
    await using collector = await Collector.start();
    await using other = await Collector.start();
    await using agent = await fixture.install(`[events]\n${collector.configWith('interval = "1s"')}`);
    const surroundings = {
      OTEL_EXPORTER_OTLP_ENDPOINT: other.endpoint,
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: other.endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-evil=1',
      OTEL_EXPORTER_OTLP_METRICS_HEADERS: 'x-evil=2',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TIMEOUT: '1',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=evil,deployment=evil',
      OTEL_SERVICE_NAME: 'evil',
      OTEL_SDK_DISABLED: 'true',
      OTEL_METRICS_EXPORTER: 'none',
    };
    assert.equal((await agent.start(surroundings, [LAUNCHER, 'metrics', 'export']).ended).code, 0);
    assert.equal((await agent.connect('alice', surroundings)).code, 0);
    await collector.received(2);
    await gone(agent);
    assert.equal(other.connections, 0);
    for (const { headers, body } of collector.requests) {
      assert.deepEqual([headers['x-evil'], headers['content-encoding']], [undefined, undefined]);
      const { resource, metrics } = decode(body);
      assert.deepEqual([resource['service.name'], Object.keys(resource).length], ['ocagent-hook', 4]);
      assert.equal(metrics[0]?.temporality, CUMULATIVE);
    }
  });

  test('comes with the headers of the configuration, which are shown nowhere', async () => {
    await using collector = await Collector.start();
    const secret = 'Bearer s3cr3t';
    const more = `headers = { authorization = ${JSON.stringify(secret)}, x-scope = "vpn" }`;
    await using agent = await fixture.install(`[log]\nlevel = "debug"\n${collector.configWith(more)}`);
    const run = await agent.command('metrics', 'export');
    assert.equal(run.code, 0, run.stdout);
    assert.partialDeepStrictEqual(collector.requests[0]?.headers, {
      authorization: secret,
      'x-scope': 'vpn',
    });
    await collector.stop();
    const said = [run, await agent.command('metrics', 'export'), await agent.command('config', 'show')];
    for (const { stdout, stderr } of said) assert.doesNotMatch(stdout + stderr, /s3cr3t/);
  });

  for (const [written, password] of [
    ['s3cr3t', 's3cr3t'],
    ['s3%40cr3t%3A%2F', 's3@cr3t:/'],
    ['p@s3cr3t', 'p@s3cr3t'],
  ] as const) {
    test(`gets the user and the password ${written} of the URL as Basic authorization, which are shown nowhere`, async () => {
      await using collector = await Collector.start();
      const endpoint = collector.endpoint.replace('//', `//vpn:${written}@`);
      await using agent = await fixture.install(
        `[events]\n[log]\nlevel = "debug"\n${collector.configWith('interval = "1s"\ntimeout = "500ms"', endpoint)}`,
      );
      const good = await agent.command('metrics', 'export');
      assert.equal(good.code, 0, good.stdout);
      const [request] = collector.requests;
      const basic = Buffer.from(`vpn:${password}`).toString('base64');
      assert.equal(request?.headers.authorization, `Basic ${basic}`);
      assert.equal(request?.headers.host, collector.host);
      await collector.stop();
      await agent.connect('alice');
      await gone(agent);
      const said = [
        good,
        await agent.command('metrics', 'export'),
        await agent.command('metrics', 'export', '--json'),
        await agent.command('maintain'),
        await agent.command('status', '--json'),
        await agent.command('config', 'show'),
      ];
      for (const { stdout, stderr } of said) assert.doesNotMatch(stdout + stderr, /cr3t/);
      const drain = stderrOf(agent);
      assert.match(drain, /"msg":"metrics not exported"/);
      assert.doesNotMatch(drain, /cr3t/);
    });
  }
});
