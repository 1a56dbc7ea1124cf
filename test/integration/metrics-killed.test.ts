import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { type Agent, CONNECT, DISCONNECT, type Run } from './agent.ts';
import { gone, pending, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';
import { answeredBy, counted, saidBy, seriesOf, sum, takenBy } from './metrics.ts';

const CONFIG = `
[events]
retry_initial = "100ms"
retry_max = "1s"
[hook]
deadline = "60s"
[telemetry]
enabled = false`;
const SESSIONS = 120;
const WIDTH = 4;
/** How long a hook may live before it is killed, where it is. */
const LONGEST_LIFE_MS = 250;

type Victim = 'launcher' | 'hook' | 'both';

interface Hook {
  readonly reason: 'connect' | 'disconnect';
  readonly killed: boolean;
  readonly run: Run;
}

/** Kills where it is told to, at a random moment of its life. */
async function hookOf(agent: Agent, environment: Record<string, string>): Promise<Hook> {
  const reason = environment['REASON'] === 'connect' ? 'connect' : 'disconnect';
  const { child, ended } = agent.start(environment);
  let killed = false;
  if (Math.random() < 0.5) {
    const ahead = Promise.withResolvers<void>();
    const timer = setTimeout(ahead.resolve, Math.random() * LONGEST_LIFE_MS);
    await Promise.race([ended, ahead.promise]);
    clearTimeout(timer);
    const victims = ['launcher', 'hook', 'both'] as const;
    killed = kill(child, victims[Math.floor(Math.random() * victims.length)] ?? 'both');
  }
  return { reason, killed, run: await ended };
}

function kill(launcher: ChildProcess, victim: Victim): boolean {
  if (launcher.exitCode !== null || launcher.signalCode !== null) return false;
  try {
    const children = readFileSync(`/proc/${launcher.pid}/task/${launcher.pid}/children`, 'latin1');
    const isNode = (pid: number): boolean => readlinkSync(`/proc/${pid}/exe`).endsWith('/node');
    // The shell has other children ahead of it.
    const hook = children.split(' ').filter(Boolean).map(Number).find(isNode);
    if (victim !== 'hook') launcher.kill('SIGKILL');
    if (victim !== 'launcher' && hook !== undefined) process.kill(hook, 'SIGKILL');
    return victim !== 'hook' || hook !== undefined;
  } catch {
    // It has just gone by itself.
    return false;
  }
}

/** There is always one at work, as far as this can see to it: a killed launcher has sent for one that never comes. */
async function killDrains(agent: Agent, over: { readonly yet: boolean }): Promise<number> {
  let killed = 0;
  const own: Promise<Run>[] = [];
  while (!over.yet) {
    if (agent.drain === null) own.push(agent.start({}, [...WITHOUT_DRAIN, 'drain']).ended);
    await delay(150 + Math.random() * 250);
    const { drain } = agent;
    if (drain === null) continue;
    try {
      process.kill(drain, 'SIGKILL');
      killed += 1;
    } catch {
      // It has just gone by itself.
    }
  }
  await Promise.all(own);
  return killed;
}

describe('the metrics of hooks and drains that are killed at random moments', () => {
  const fixture = withPortal({ default: { allowed: true }, users: { bad: { allowed: false } } });

  test('lie between what is known to have ended and what was started, and what belongs together is together', async (t) => {
    await using agent = await fixture.install(CONFIG, 'timeout = "20s"');
    // What is killed before the state was made is not what is tried here.
    assert.equal((await agent.command('breaker', 'reset')).code, 0);
    const hooks: Hook[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < SESSIONS) {
        const i = next++;
        const own = {
          ID: `${1_000 + i}`,
          USERNAME: i % 5 === 0 ? 'bad' : i % 3 === 0 ? 'regular' : `user${i}`,
        };
        hooks.push(await hookOf(agent, { ...CONNECT, ...own }));
        if (i % 4 === 0) continue;
        const stats = { STATS_BYTES_IN: '1', STATS_BYTES_OUT: '2', STATS_DURATION: '3' };
        hooks.push(await hookOf(agent, { ...DISCONNECT, ...own, ...stats }));
      }
    };
    const over = { yet: false };
    const drains = killDrains(agent, over);
    await Promise.all(Array.from({ length: WIDTH }, worker));
    over.yet = true;
    const killed = { hooks: hooks.filter((hook) => hook.killed).length, drains: await drains };
    t.diagnostic(`${killed.hooks} of ${hooks.length} hooks and ${killed.drains} drains killed`);
    assert.ok(killed.hooks > 20 && killed.drains > 3, JSON.stringify(killed));
    // One more also gives the lease back that a killed drain held.
    for (let tries = 0; tries === 0 || (pending(agent) > 0 && tries < 5); tries++) {
      await agent.command('events', 'flush');
    }
    await gone(agent);

    const series = await seriesOf(agent);
    const lies = (what: string, value: number, least: number, most: number): void =>
      assert.ok(value >= least && value <= most, `${what}: ${least} ≤ ${value} ≤ ${most}`);
    const started = (reason: Hook['reason']): Hook[] => hooks.filter((hook) => hook.reason === reason);
    const decided = sum(series, 'ocserv_hook_decisions_total');
    const connects = started('connect');
    const told = saidBy(connects.map(({ run }) => run));

    const decisions = counted(series, 'ocserv_hook_decisions_total');
    const unknown = connects.length - connects.filter(({ run }) => run.decision !== undefined).length;
    for (const one of new Set([...Object.keys(decisions), ...Object.keys(told.decisions)])) {
      const least = told.decisions[one] ?? 0;
      lies(`decisions ${one}`, decisions[one] ?? 0, least, least + unknown);
    }
    lies('decisions', decided, connects.length - unknown, connects.length);
    // The launcher begins an end anew whose process was killed, and that may have come as far as to count.
    const ends = started('disconnect');
    const recorded = ends.filter(({ run }) =>
      run.log.some(({ msg }) => msg === 'disconnect recorded'),
    ).length;
    const again = ends.filter((hook) => hook.killed).length;
    const durations = counted(series, 'ocserv_hook_duration_count');
    lies('ends', durations['{reason="disconnect"}'] ?? 0, recorded, ends.length + again);

    // One transaction each: whatever was killed, these are counted together or not at all.
    assert.equal(durations['{reason="connect"}'], decided);
    const hits = sum(series, 'ocserv_cache_hits_total');
    assert.equal(hits + sum(series, 'ocserv_cache_misses_total'), decided);
    const of = (source: string): number =>
      Object.entries(decisions).reduce((all, [one, n]) => (one.includes(`"${source}"`) ? all + n : all), 0);
    assert.equal(hits, of('cache'));
    const calls = counted(series, 'ocserv_portal_call_duration_count');
    assert.equal(calls['{grpc_code="OK",rpc="CheckPolicy"}'], of('portal'));
    const begun = agent.query(`SELECT 1 FROM session WHERE source <> 'unknown'`).length;
    const allowed = Object.entries(decisions).filter(([one]) => one.includes('allowed="true"'));
    assert.equal(
      allowed.reduce((all, [, n]) => all + n, 0),
      begun,
    );
    const { portal } = fixture;
    assert.deepEqual(counted(series, 'ocserv_events_delivered_total'), takenBy(portal));
    const answered = answeredBy(portal);
    for (const [one, n] of Object.entries(calls)) {
      if (one.includes('"OK"')) lies(`calls ${one}`, n, 1, answered[one] ?? 0);
    }
    const asked = sum(series, 'ocserv_circuit_breaker_requests_total');
    // What a drain had begun with that was killed, its launcher begins anew.
    lies('admissions', asked, of('portal'), connects.length - hits + killed.drains * WIDTH);
    assert.equal(series.get('ocserv_events_pending'), 0);
    assert.equal(
      series.get('ocserv_sessions_active'),
      agent.query('SELECT 1 FROM session WHERE ended_wall IS NULL').length,
    );
  });
});

/** Counted together, as one moment of the state has them. */
const TOGETHER = `SELECT
  (SELECT coalesce(sum(value), 0) FROM counter WHERE name = 'ocserv.hook.decisions_total') AS decisions,
  (SELECT coalesce(sum(value), 0) FROM counter WHERE name LIKE 'ocserv.cache.%') AS looked,
  (SELECT coalesce(sum(value), 0) FROM counter
     WHERE name = 'ocserv.hook.decisions_total' AND attributes ->> 'source' = 'portal') AS by_portal,
  (SELECT coalesce(sum(value), 0) FROM counter
     WHERE name = 'ocserv.hook.decisions_total' AND attributes ->> 'allowed' = 'true') AS allowed,
  (SELECT coalesce(sum(each.value), 0) FROM histogram, json_each(buckets) AS each
     WHERE name = 'ocserv.hook.duration' AND attributes ->> 'reason' = 'connect') AS durations,
  (SELECT coalesce(sum(each.value), 0) FROM histogram, json_each(buckets) AS each
     WHERE name = 'ocserv.portal.call.duration' AND attributes ->> 'rpc' = 'CheckPolicy') AS calls,
  (SELECT coalesce(sum(each.value), 0) FROM histogram, json_each(buckets) AS each
     WHERE name = 'ocserv.hook.duration' AND attributes ->> 'reason' = 'disconnect') AS end_durations,
  (SELECT count(*) FROM session WHERE source <> 'unknown') AS sessions,
  (SELECT count(*) FROM session WHERE ended_wall IS NOT NULL) AS ends,
  (SELECT coalesce(sum(value), 0) FROM counter WHERE name = 'ocserv.events.delivered_total') AS delivered,
  (SELECT count(*) FROM event) AS waiting`;

describe('the metrics at every moment', () => {
  const fixture = withPortal({ default: { allowed: true }, users: { bad: { allowed: false } } });

  test('are whole: what is counted of a decision, an end or an event comes with its record', async () => {
    await using agent = await fixture.install(CONFIG, 'timeout = "20s"');
    assert.equal((await agent.command('breaker', 'reset')).code, 0);
    let left = 3;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < 45) {
        const i = next++;
        const own = {
          ID: `${1_000 + i}`,
          USERNAME: i % 5 === 0 ? 'bad' : i % 3 === 0 ? 'regular' : `user${i}`,
        };
        await agent.hook({ ...CONNECT, ...own });
        if (i % 5 !== 0) await agent.hook({ ...DISCONNECT, ...own, STATS_DURATION: '3' });
      }
      left -= 1;
    };
    const workers = Promise.all([worker(), worker(), worker()]);
    const db = new Database(agent.state, { readonly: true });
    const look = db.prepare(TOGETHER);
    const seen = new Set<string>();
    try {
      while (left > 0) {
        const counts = look.get() as Readonly<Record<string, number>>;
        const of = (...names: string[]): number[] => names.map((name) => counts[name] ?? -1);
        const [decisions = 0, byPortal = 0, allowed = 0, ends = 0] = of(
          'decisions',
          'by_portal',
          'allowed',
          'ends',
        );
        const told = JSON.stringify(counts);
        assert.deepEqual(of('looked', 'durations', 'calls'), [decisions, decisions, byPortal], told);
        assert.deepEqual(of('sessions', 'end_durations'), [allowed, ends], told);
        // A connect and a disconnect of each session.
        const [delivered = 0, waiting = 0] = of('delivered', 'waiting');
        assert.equal(delivered + waiting, allowed + ends, told);
        seen.add(told);
        await setImmediate();
      }
    } finally {
      db.close();
    }
    await workers;
    assert.ok(seen.size > 60, `${seen.size} different moments seen`);
    await gone(agent);
  });
});
