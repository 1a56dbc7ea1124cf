import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run, toolEnvironment } from '../../scripts/vpn/run.ts';
import { createWorkFolder, type WorkFolder } from '../../scripts/vpn/work-folder.ts';
import type { Agent, Run } from '../integration/agent.ts';
import { withPortal } from '../integration/fixture.ts';
import { exposedIn, keyOf } from './metrics-exposition.ts';
import { METRICS } from './metrics-names.ts';
import { type MetricsStack, startMetricsStack, TARGET } from './metrics-stack.ts';
import { expressionsOf, RULES, readDashboard, selectorsIn } from './metrics-texts.ts';
import { noPrometheus } from './require-prometheus.ts';

const limits = { skip: noPrometheus, timeout: 90_000 };

const EVENTS = '[events]\nretry_initial = "100ms"\nretry_max = "1s"\n[telemetry]\nenabled = false';
const BREAKER = '[resilience.circuit_breaker]\nfailure_threshold = 2\nmax_requests = 1\ntimeout = "1s"';
const AS_USUAL = `${EVENTS}\n${BREAKER}`;
/** What was fresh is past its time at once. */
const PAST_TTL = '[resilience.cache]\nttl = "1ms"\ndeny_ttl = "1ms"';
const outage = (mode: string) =>
  `${AS_USUAL}\n${PAST_TTL}\n[resilience]\nfail_mode = "${mode}"\nemergency_users = ["root"]`;

describe('the metrics of a server that the portal has left and come back to', () => {
  const fixture = withPortal({ users: { alice: {}, carol: { allowed: false, reason: 'on leave' } } });
  let folder: WorkFolder;
  let file = '';
  let stack: MetricsStack;
  let agent: Agent;
  let sessions = 0;

  const configure = (config: string) =>
    agent.configure({ address: fixture.portal.address, config }, fixture.certificates);
  const connect = async (user: string, code: number) => {
    sessions += 1;
    return expect(await agent.connect(user, { ID: String(sessions) }), code);
  };
  const command = async (...args: string[]) => expect(await agent.command(...args), 0);

  /** As cron does, and Prometheus has seen it. */
  async function publish(): Promise<void> {
    await command('metrics', 'show', '--output', file);
    const name = 'ocserv_metrics_timestamp_seconds';
    const written = exposedIn(readFileSync(file, 'utf8')).find((series) => series.name === name)?.value;
    await stack.until(name, ([sample]) => sample?.value === written);
  }

  async function portalUp(): Promise<void> {
    configure(AS_USUAL);
    await command('cache', 'clear');
    await connect('alice', 0);
    await connect('alice', 0);
    await connect('carol', 1);
    await connect('carol', 1);
    expect(await agent.disconnect('alice', { ID: String(sessions - 3), STATS_DURATION: '1' }), 0);
    expect(await agent.hook({ REASON: 'host-update', ID: '1', USERNAME: 'alice' }), 0);
    await command('events', 'flush');
  }

  async function portalDown(): Promise<void> {
    await fixture.portal.stop();
    configure(outage('stale'));
    await connect('alice', 0);
    await connect('dora', 1);
    await connect('dora', 1);
    configure(outage('open'));
    await connect('dora', 0);
    await connect('root', 0);
    expect(await agent.command('events', 'flush'), 1);
  }

  /** The breaker lets a trial through once its timeout is over. */
  async function portalBack(): Promise<void> {
    await fixture.portal.start();
    configure(AS_USUAL);
    await command('cache', 'clear');
    const until = performance.now() + 10_000;
    while ((await agent.command('breaker', 'status', '--json')).stdout.includes('"state": "open"')) {
      assert.ok(performance.now() < until, 'the breaker stays open');
    }
    await connect('alice', 0);
    await command('events', 'flush');
  }

  before(async () => {
    if (noPrometheus !== false) return;
    folder = await createWorkFolder();
    file = join(folder.path, 'ocagent-hook.prom');
    stack = await startMetricsStack({ textfiles: folder.path, rules: [RULES] });
    agent = await fixture.install(AS_USUAL);
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await stack?.[Symbol.asyncDispose]();
    await folder?.remove();
  });

  test('show the outage while it lasts', limits, async () => {
    // Twice, for a rate is of two looks at a series, and some begin with the first error.
    for (const _ of [1, 2]) {
      await portalUp();
      await publish();
      await portalDown();
      await publish();
      // Open, or half-open where this machine is slow.
      assert.notEqual((await stack.query('ocserv_circuit_breaker_state'))[0]?.value, 0);
      assert.notEqual((await stack.query('ocserv_events_pending'))[0]?.value, 0);
      const unreachable =
        'ocserv_portal_last_success_timestamp_seconds < ocserv_portal_last_error_timestamp_seconds';
      assert.equal((await stack.query(unreachable)).length, 1);
      await portalBack();
      await publish();
      assert.equal((await stack.query('ocserv_circuit_breaker_state'))[0]?.value, 0);
    }
  });

  test('are data in every query of the dashboard', limits, async () => {
    const expressions = expressionsOf(readDashboard(), { instance: TARGET.instance, rateInterval: '5m' });
    assert.ok(expressions.length > 30);
    for (const { panel, expr } of expressions) {
      const samples = await stack.query(expr);
      assert.ok(
        samples.some(({ value }) => Number.isFinite(value)),
        `${panel}: ${expr} is ${JSON.stringify(samples)}`,
      );
    }
  });

  test('trouble no alert but those of what has just happened', limits, async () => {
    // Exit 1, for there is no ocserv to compare with.
    await agent.command('maintain', '--quiet');
    await publish();
    const holding: string[] = [];
    for (const { name, query } of (await stack.rules()).flatMap(({ rules }) => rules)) {
      if ((await stack.query(query)).length > 0) holding.push(name);
    }
    assert.deepEqual(holding, [
      'OcagentUsersLetInUnchecked',
      'OcagentEmergencyAccess',
      'OcagentDecisionsFromStale',
      'OcagentUsersDeniedUnchecked',
    ]);
  });

  test('are well-formed in the eyes of promtool', limits, async () => {
    const { status, stdout, stderr } = await run(['promtool', 'check', 'metrics'], {
      input: readFileSync(file, 'utf8'),
      env: toolEnvironment(),
    });
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
  });

  test('are served by node_exporter, every series with its value', limits, async () => {
    const served = new Set(exposedIn(await stack.exposed()).map(keyOf));
    const written = exposedIn(readFileSync(file, 'utf8'));
    assert.ok(written.length > 100);
    assert.deepEqual(
      written.filter((series) => !served.has(keyOf(series))),
      [],
    );
  });

  test('are those, with those labels, that the alert rules and the dashboard ask for', limits, () => {
    const written = exposedIn(readFileSync(file, 'utf8'));
    const asked = [
      ...selectorsIn(readFileSync(RULES, 'utf8')),
      ...selectorsIn(JSON.stringify(readDashboard())),
    ];
    const names = new Set(written.map(({ name }) => name));
    assert.deepEqual(
      asked.filter(({ name }) => !names.has(name)),
      [],
    );
    for (const { name, labels } of written) {
      assert.deepEqual(Object.keys(labels).sort(), [...(METRICS.get(name) ?? [])].sort(), name);
    }
  });
});

function expect(run: Run, code: number): Run {
  assert.equal(run.code, code, run.stdout + run.stderr);
  return run;
}
