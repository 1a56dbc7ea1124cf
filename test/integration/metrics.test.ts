import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { CONNECT, DISCONNECT, type Run } from './agent.ts';
import { openedEarlier } from './breaker.ts';
import { EVENTS, gone, pending, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';
import { answeredBy, counted, saidBy, seriesOf, sum, takenBy, tally } from './metrics.ts';

const STATS = { STATS_BYTES_IN: '5', STATS_BYTES_OUT: '6', STATS_DURATION: '7' };
/** What is kept is stale at once. */
const STALE = '[resilience.cache]\nttl = "0s"\ndeny_ttl = "0s"\nstale_ttl = "1h"';

/** The calls that the log says failed, as `counted` has ocserv_portal_call_duration_count. */
function failedSay(runs: readonly Run[]): Record<string, number> {
  const lines = runs.flatMap(({ log }) => log.filter(({ msg }) => msg === 'the portal could not be asked'));
  return tally(lines.map(({ code }) => ({ grpc_code: String(code), rpc: 'CheckPolicy' })));
}

describe('the metrics of decisions', () => {
  const fixture = withPortal({ default: { allowed: true }, users: { carol: { allowed: false } } });

  test('tell a portal that is down: what was stale, what was denied, and what the breaker made of it', async () => {
    const config = `${STALE}\n[resilience]\nemergency_users = ["root"]`;
    await using agent = await fixture.install(config);
    const runs = [await agent.connect('alice'), await agent.connect('carol')];
    await fixture.portal.stop();
    for (const user of ['alice', 'carol', 'bob', 'dave', 'alice', 'root', 'eve']) {
      runs.push(await agent.connect(user));
    }
    const series = await seriesOf(agent);
    const { decisions, cache } = saidBy(runs);
    assert.deepEqual(decisions, {
      '{allowed="false",source="fail-close"}': 3,
      '{allowed="false",source="portal"}': 1,
      '{allowed="false",source="stale"}': 1,
      '{allowed="true",source="emergency"}': 1,
      '{allowed="true",source="portal"}': 1,
      '{allowed="true",source="stale"}': 2,
    });
    assert.deepEqual(counted(series, 'ocserv_hook_decisions_total'), decisions);
    assert.equal(sum(series, 'ocserv_cache_stale_hits_total'), cache['{state="stale"}']);
    assert.equal(sum(series, 'ocserv_cache_misses_total'), cache['{state="miss"}']);
    // Three failures opened it, and those after them were refused.
    assert.deepEqual(counted(series, 'ocserv_circuit_breaker_requests_total'), {
      '{state="closed"}': 5,
      '{state="open"}': 4,
    });
    assert.deepEqual(counted(series, 'ocserv_circuit_breaker_failures_total'), { '{state="closed"}': 3 });
    assert.equal(series.get('ocserv_circuit_breaker_state'), 1);
    assert.deepEqual(counted(series, 'ocserv_portal_call_duration_count'), {
      ...answeredBy(fixture.portal),
      ...failedSay(runs),
    });
    const at = (name: string): number => series.get(`ocserv_portal_last_${name}_timestamp_seconds`) ?? 0;
    assert.ok(at('success') > 0 && at('error') > at('success'));

    openedEarlier(agent, 60_000);
    assert.equal((await seriesOf(agent)).get('ocserv_circuit_breaker_state'), 2, 'as it holds now');
    await agent.connect('frank');
    const after = await seriesOf(agent);
    assert.deepEqual(counted(after, 'ocserv_circuit_breaker_failures_total'), {
      '{state="closed"}': 3,
      '{state="half-open"}': 1,
    });
    assert.equal(counted(after, 'ocserv_circuit_breaker_requests_total')['{state="half-open"}'], 1);
    assert.equal(after.get('ocserv_circuit_breaker_state'), 1);
  });

  test('tell who was let in because the portal was down', async () => {
    await using agent = await fixture.install('[resilience]\nfail_mode = "open"');
    await fixture.portal.stop();
    const runs = [await agent.connect('alice'), await agent.connect('carol'), await agent.connect('')];
    assert.deepEqual(
      runs.map(({ code }) => code),
      [0, 0, 1],
    );
    assert.deepEqual(counted(await seriesOf(agent), 'ocserv_hook_decisions_total'), {
      '{allowed="false",source="invalid"}': 1,
      '{allowed="true",source="fail-open"}': 2,
    });
  });

  test('tell each way in which the portal did not answer, by the name of its status', async () => {
    await using agent = await fixture.install('[resilience.circuit_breaker]\nfailure_threshold = 99');
    const codes = ['INTERNAL', 'PERMISSION_DENIED', 'INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED', 'UNAVAILABLE'];
    const users = Object.fromEntries(codes.map((error) => [error.toLowerCase(), { error }]));
    await fixture.portal.setPolicy({ default: { allowed: true }, users });
    const runs: Run[] = [];
    for (const user of [...Object.keys(users), 'internal']) runs.push(await agent.connect(user));
    const series = await seriesOf(agent);
    assert.deepEqual(
      counted(series, 'ocserv_portal_call_duration_count'),
      tally([...codes, 'INTERNAL'].map((grpc_code) => ({ grpc_code, rpc: 'CheckPolicy' }))),
      'one a decision, whatever its retries',
    );
    // INTERNAL, RESOURCE_EXHAUSTED and UNAVAILABLE speak of the portal; of what a user can provoke himself one counts.
    assert.deepEqual(counted(series, 'ocserv_circuit_breaker_failures_total'), { '{state="closed"}': 3 });
    const asked = fixture.portal.callsOf('CheckPolicy').map(({ request }) => request.username);
    assert.deepEqual([...new Set(asked)], Object.keys(users));
    // What speaks of the request alone is an answer.
    assert.deepEqual(counted(series, 'ocserv_hook_decisions_total'), saidBy(runs).decisions);
    assert.equal(saidBy(runs).decisions['{allowed="false",source="portal"}'], 1);
  });

  test('tell a portal that is too slow, which itself saw only that the caller went', async () => {
    await using agent = await fixture.install('', 'timeout = "300ms"');
    await fixture.portal.setPolicy({ default: { allowed: true }, delay: '30s' });
    const run = await agent.connect('alice');
    assert.equal(run.decision?.['source'], 'fail-close', run.stderr);
    const series = await seriesOf(agent);
    const call = '{grpc_code="DEADLINE_EXCEEDED",rpc="CheckPolicy"}';
    assert.deepEqual(counted(series, 'ocserv_portal_call_duration_count'), { [call]: 1 });
    assert.ok((series.get(`ocserv_portal_call_duration_sum${call}`) ?? 0) >= 0.25);
  });

  test('have nothing of a decision that could not be recorded, which the log says instead', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.connect('alice', { IP_REAL: '192.0.2.1' });
    await gone(agent);
    const before = await seriesOf(agent);
    const db = new Database(agent.state);
    db.exec('BEGIN IMMEDIATE');
    const run = await agent.connect('alice', { IP_REAL: '192.0.2.2' });
    db.exec('ROLLBACK');
    db.close();
    assert.equal(run.code, 0);
    assert.ok(
      run.log.some(({ msg }) => /not recorded/.test(String(msg))),
      run.stderr,
    );
    assert.deepEqual(steady(await seriesOf(agent)), steady(before));
  });

  test('have what auth asked and found, but no hook of it', async () => {
    await using agent = await fixture.install();
    for (const more of [[], [], ['--no-cache']]) {
      assert.equal((await agent.command('auth', '--user', 'alice', ...more)).code, 0);
    }
    const series = await seriesOf(agent);
    assert.deepEqual(counted(series, 'ocserv_hook_decisions_total'), {});
    assert.deepEqual(counted(series, 'ocserv_hook_duration_count'), {});
    assert.equal(sum(series, 'ocserv_cache_hits_total'), 1);
    assert.equal(sum(series, 'ocserv_cache_misses_total'), 1, 'what was passed over is no miss');
    assert.equal(sum(series, 'ocserv_circuit_breaker_requests_total'), 2);
    assert.deepEqual(counted(series, 'ocserv_portal_call_duration_count'), answeredBy(fixture.portal));
  });

  test('have denials of observe mode as denials, though everybody gets in', async () => {
    await using agent = await fixture.install('[hook]\nmode = "observe"');
    assert.equal((await agent.connect('carol')).code, 0);
    const series = await seriesOf(agent);
    assert.deepEqual(counted(series, 'ocserv_hook_decisions_total'), {
      '{allowed="false",source="portal"}': 1,
    });
    assert.equal(series.get('ocserv_sessions_active'), 1);
  });
});

describe('the metrics of events', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('tell what was delivered, with the calls it took, those that failed too', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.setPolicy({
      default: { allowed: true },
      rpc: { ReportConnect: { error: 'INTERNAL' } },
    });
    await agent.connect('alice');
    await fixture.portal.answered(2, 'ReportConnect');
    await fixture.portal.setPolicy({ default: { allowed: true } });
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(1, 'ReportDisconnect');
    await gone(agent);
    const series = await seriesOf(agent);
    assert.deepEqual(counted(series, 'ocserv_portal_call_duration_count'), answeredBy(fixture.portal));
    assert.deepEqual(counted(series, 'ocserv_events_delivered_total'), takenBy(fixture.portal));
    assert.deepEqual(takenBy(fixture.portal), { '{type="connect"}': 1, '{type="disconnect"}': 1 });
    assert.equal(series.get('ocserv_events_oldest_pending_seconds'), 0);
  });

  test('tell what waits, since when, what was set aside, and what was given up', async () => {
    await using agent = await fixture.install('[events]\nmax_pending = 3');
    const session = (i: number) => ({ USERNAME: `user${i}`, ID: `${i + 1}` });
    for (let i = 0; i < 5; i++) await agent.hook({ ...CONNECT, ...session(i) }, WITHOUT_DRAIN);
    await agent.hook({ ...DISCONNECT, ...STATS, ...session(9) }, WITHOUT_DRAIN);
    assert.equal(pending(agent), 3);
    const waiting = await seriesOf(agent);
    assert.equal(waiting.get('ocserv_events_pending'), 3);
    assert.ok((waiting.get('ocserv_events_oldest_pending_seconds') ?? 0) > 0);
    assert.deepEqual(counted(waiting, 'ocserv_events_dropped_total'), { '{type="connect"}': 3 });
    assert.equal(waiting.get('ocserv_sessions_active'), 5, 'sessions are no events');

    await fixture.portal.setPolicy({
      default: { allowed: true },
      rpc: { ReportDisconnect: { error: 'INVALID_ARGUMENT' } },
    });
    await agent.command('events', 'flush');
    const aside = await seriesOf(agent);
    assert.deepEqual([aside.get('ocserv_events_pending'), aside.get('ocserv_events_failed')], [0, 1]);
    assert.deepEqual(counted(aside, 'ocserv_events_delivered_total'), { '{type="connect"}': 2 });
    assert.equal((await agent.command('events', 'drop', '--failed')).code, 0);
    const dropped = await seriesOf(agent);
    assert.equal(dropped.get('ocserv_events_failed'), 0);
    assert.deepEqual(counted(dropped, 'ocserv_events_dropped_total'), {
      '{type="connect"}': 3,
      '{type="disconnect"}': 1,
    });
  });

  test('come with the end of each certificate, the portal’s as a drain met it', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.command('breaker', 'reset');
    const ends = async (): Promise<Record<string, number>> =>
      counted(await seriesOf(agent), 'ocserv_certificate_expiry_timestamp_seconds');
    const { agentCertificate, ca, serverCertificate } = fixture.certificates;
    const ours = { '{certificate="agent"}': endOf(agentCertificate), '{certificate="ca"}': endOf(ca) };
    assert.deepEqual(await ends(), ours);
    await agent.connect('alice');
    await fixture.portal.answered(1, 'ReportConnect');
    await gone(agent);
    assert.deepEqual(await ends(), { ...ours, '{certificate="portal"}': endOf(serverCertificate) });
  });
});

describe('the metrics of maintain', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('tell when it last came to its end, whatever became of its parts', async () => {
    await using agent = await fixture.install();
    await agent.command('breaker', 'reset');
    assert.equal((await seriesOf(agent)).get('ocserv_maintain_last_run_timestamp_seconds'), 0);
    writeFileSync(`${agent.state}.corrupt-1`, 'garbage '.repeat(1_000), { mode: 0o600 });
    const began = Date.now() / 1_000;
    assert.equal((await agent.command('maintain', '--quiet')).code, 1);
    const ran = (await seriesOf(agent)).get('ocserv_maintain_last_run_timestamp_seconds') ?? 0;
    assert.ok(ran >= began && ran <= Date.now() / 1_000, String(ran));
  });
});

/** Without what is of the moment. */
function steady(series: ReadonlyMap<string, number>): [string, number][] {
  return [...series].filter(([key]) => !/^ocserv_(metrics_timestamp|events_oldest_pending)/.test(key));
}

function endOf(certificate: string): number {
  return new X509Certificate(readFileSync(certificate)).validToDate.getTime() / 1_000;
}
