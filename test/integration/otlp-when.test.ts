import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import { type Agent, LAUNCHER } from './agent.ts';
import { answering, Collector, HANG } from './collector.ts';
import { gone } from './events.ts';
import { withPortal } from './fixture.ts';
import { counted } from './metrics.ts';
import { decode, seriesIn } from './otlp.ts';

const HOUR_MS = 3_600_000;
const OCSERV = '[ocserv]\nocctl = "false"\nocctl_socket = "/nonexistent/none.sock"\n';

/** As though the last export had begun that much earlier. */
function letPass(agent: Agent, milliseconds: number): void {
  const db = new Database(agent.state);
  db.prepare('UPDATE export SET wall = wall - ?, mono = mono - ?').run(milliseconds, milliseconds);
  db.close();
}

/** The line of `maintain` about the export. */
async function maintained(agent: Agent): Promise<{ code: number | null; line: string | undefined }> {
  const { code, stdout } = await agent.command('maintain');
  return { code, line: stdout.split('\n').find((line) => line.startsWith('export:')) };
}

describe('metrics export', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('sends at once, whatever the interval says, and exits with 0', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(collector.configWith('interval = "1d"'));
    const { code, stdout, stderr } = await agent.command('metrics', 'export');
    assert.deepEqual([code, stdout, stderr], [0, `exported to ${collector.endpoint}\n`, '']);
    const again = await agent.command('metrics', 'export', '--json');
    assert.equal(again.code, 0);
    assert.deepEqual(JSON.parse(again.stdout), { exported: true, endpoint: collector.endpoint, error: null });
    assert.equal(collector.requests.length, 2);
  });

  test('exits with 1 where nobody listens, and says what to do', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(collector.config);
    await collector.stop();
    const { code, stdout, stderr } = await agent.command('metrics', 'export');
    assert.deepEqual([code, stderr], [1, '']);
    assert.match(stdout, /^not exported to http:\S+: nobody listens on 127\.0\.0\.1:\d+ \(ECONNREFUSED\)\n/);
    assert.match(
      stdout,
      /start a collector there, set telemetry\.endpoint to yours, or set telemetry\.enabled/,
    );
    const json = await agent.command('metrics', 'export', '--json');
    assert.equal(json.code, 1);
    assert.partialDeepStrictEqual(JSON.parse(json.stdout), { exported: false, endpoint: collector.endpoint });
    assert.match(JSON.parse(json.stdout).error, /^nobody listens/);
  });

  test('exits with 1 where telemetry is turned off, and asks nobody', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(collector.configWith('enabled = false'));
    const { code, stdout, stderr } = await agent.command('metrics', 'export');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /telemetry\.enabled is false/);
    assert.equal(collector.connections, 0);
  });

  test('is done by one process at a time, the others saying so', async () => {
    await using collector = await Collector.start(HANG);
    await using agent = await fixture.install(collector.configWith('timeout = "60s"'));
    await agent.command('breaker', 'reset');
    const first = agent.start({}, [LAUNCHER, 'metrics', 'export']);
    await collector.received(1);
    const others = await Promise.all(Array.from({ length: 6 }, () => agent.command('metrics', 'export')));
    for (const { code, stdout } of others) {
      assert.deepEqual([code, stdout], [0, 'another process is exporting just now\n']);
    }
    assert.deepEqual([collector.requests.length, collector.mostAtOnce], [1, 1]);
    first.child.kill('SIGKILL');
    await first.ended;
  });

  test('never makes two requests at the same moment, however many begin at once', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(collector.config);
    await agent.command('breaker', 'reset');
    collector.delay(10);
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) assert.equal((await agent.command('metrics', 'export')).code, 0);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    assert.equal(collector.mostAtOnce, 1);
    assert.ok(collector.requests.length >= 2, `${collector.requests.length} requests`);
    const times = collector.requests.map(({ body }) => decode(body).metrics[0]?.points[0]?.time ?? 0n);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => Number(a - b)),
      'none is older than the one before',
    );
  });

  test('is not kept waiting by a process that was killed at it', async () => {
    await using collector = await Collector.start(HANG);
    await using agent = await fixture.install(collector.configWith('timeout = "60s"'));
    const killed = agent.start({}, [LAUNCHER, 'metrics', 'export']);
    await collector.received(1);
    killed.child.kill('SIGKILL');
    await killed.ended;
    collector.behave(answering(200, '{}'));
    const { code, stdout } = await agent.command('metrics', 'export');
    assert.deepEqual([code, stdout], [0, `exported to ${collector.endpoint}\n`]);
  });
});

describe('maintain', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('exports each time, in a line of its own', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(OCSERV + collector.configWith('interval = "1d"'));
    for (const count of [1, 2]) {
      assert.deepEqual(await maintained(agent), { code: 0, line: 'export:    1 exported' });
      assert.equal(collector.requests.length, count);
    }
  });

  test('does not complain of a collector that has never been there', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(OCSERV + collector.config);
    await collector.stop();
    for (const _ of [1, 2]) {
      assert.deepEqual(await maintained(agent), { code: 0, line: 'export:    0 exported' });
      const { code, stdout, stderr } = await agent.command('maintain', '--quiet');
      assert.deepEqual([code, stdout, stderr], [0, '', '']);
    }
  });

  test('complains of one that once took them and is gone, and of one that refuses them', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(OCSERV + collector.config);
    assert.equal((await maintained(agent)).code, 0);
    await collector.stop();
    const gone = await maintained(agent);
    assert.equal(gone.code, 1);
    assert.match(
      gone.line ?? '',
      /failed: the metrics could not be exported: nobody listens on 127\.0\.0\.1/,
    );
    await collector.listen();
    collector.behave(answering(401, '', {}));
    const refused = await maintained(agent);
    assert.equal(refused.code, 1);
    assert.match(refused.line ?? '', /failed: the metrics could not be exported: .*401/);
    collector.behave(answering(200, '{}'));
    assert.equal((await maintained(agent)).code, 0, 'and is content again');
  });

  test('leaves it out where telemetry is turned off', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(OCSERV + collector.configWith('enabled = false'));
    assert.deepEqual(await maintained(agent), { code: 0, line: 'export:    ' });
    assert.equal(collector.connections, 0);
  });
});

describe('a drain', () => {
  const fixture = withPortal({ default: { allowed: true } });

  /** One session of its own, reported by a drain that has gone at the end. */
  const drained = async (agent: Agent, user: string): Promise<void> => {
    const before = fixture.portal.callsOf('ReportConnect').length;
    await agent.connect(user);
    await fixture.portal.answered(before + 1, 'ReportConnect');
    await gone(agent);
  };

  test('exports what it has delivered at its end, and again only once the interval has passed', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(`[events]\n${collector.configWith('interval = "1h"')}`);
    await drained(agent, 'alice');
    assert.equal(collector.requests.length, 1);
    const first = seriesIn(decode(collector.requests[0]?.body ?? ''));
    assert.deepEqual(counted(first, 'ocserv_events_delivered_total'), { '{type="connect"}': 1 });
    await drained(agent, 'bob');
    letPass(agent, HOUR_MS - 60_000);
    await drained(agent, 'carol');
    assert.equal(collector.requests.length, 1, 'the interval has not passed');
    letPass(agent, 60_000);
    await drained(agent, 'dave');
    assert.equal(collector.requests.length, 2);
    const second = seriesIn(decode(collector.requests[1]?.body ?? ''));
    assert.deepEqual(counted(second, 'ocserv_events_delivered_total'), { '{type="connect"}': 4 });
  });

  test('exports while it is at work, too, when that takes long', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(
      `[events]\n[hook]\ndeadline = "2m"\n${collector.configWith('interval = "1s"')}`,
      'timeout = "60s"',
    );
    const release = fixture.portal.hold('ReportConnect');
    await agent.connect('alice');
    await fixture.portal.arrived(1, 'ReportConnect');
    const { drain } = agent;
    await collector.received(3);
    assert.ok(drain !== null && agent.drain === drain, 'all by the same drain, at the same event');
    release();
    await gone(agent);
    const last = seriesIn(decode(collector.requests.at(-1)?.body ?? ''));
    assert.equal(last.get('ocserv_events_delivered_total{type="connect"}'), 1);
  });

  test('exports nothing where telemetry is turned off', async () => {
    await using collector = await Collector.start();
    await using agent = await fixture.install(`[events]\n${collector.configWith('enabled = false')}`);
    await drained(agent, 'alice');
    assert.equal(collector.connections, 0);
  });
});
