import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import type { Agent, Run } from './agent.ts';
import { EVENTS, gone } from './events.ts';
import { withPortal } from './fixture.ts';
import { fill, MOUNTS, mountTmpfs } from './mounts.ts';

const STATS = {
  STATS_BYTES_IN: '18446744073709551615',
  STATS_BYTES_OUT: '9007199254740993',
  STATS_DURATION: '61',
};

describe('a disconnect that the state cannot take', () => {
  const fixture = withPortal({ default: { allowed: true } });

  const reportedDirectly = async (run: Run): Promise<string> => {
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, /disconnect not recorded, but told to the portal/);
    const [report, ...more] = fixture.portal.callsOf('ReportDisconnect');
    assert.deepEqual(more, [], 'one call');
    assert.equal(report?.request.stats?.bytesReceived, 18_446_744_073_709_551_615n);
    assert.equal(report?.request.stats?.bytesSent, 9_007_199_254_740_993n);
    assert.match(report?.eventId ?? '', /^[0-9a-f-]{14}7/);
    return report?.request.sessionId ?? '';
  };

  /** With the portal away too, the line has all that is needed to book it. */
  const toldInTheLog = async (agent: Agent): Promise<void> => {
    await fixture.portal.stop();
    const run = await agent.disconnect('alice', { ...STATS, ID: '77' });
    assert.equal(run.code, 1);
    assert.match(run.stderr, /the portal could not be told of the disconnect either/);
    const line = run.log.find(({ msg }) => String(msg).startsWith('disconnect NOT recorded'));
    assert.partialDeepStrictEqual(line, {
      level: 'error',
      username: 'alice',
      ocserv_id: '77',
      client_ip: '198.51.100.7',
      bytes_in: STATS.STATS_BYTES_IN,
      bytes_out: STATS.STATS_BYTES_OUT,
      duration_seconds: STATS.STATS_DURATION,
    });
  };

  test(
    'because the disk is full is told to the portal directly, as the session that it was',
    MOUNTS,
    async () => {
      await using agent = await fixture.install(EVENTS);
      await using _disk = mountTmpfs(dirname(agent.state));
      await agent.connect('alice');
      // Whoever closes it as the last takes its log away, which hooks never do, and on a full disk none can be made.
      const open = new Database(agent.state);
      open.prepare('SELECT 1 FROM session').all();
      await fixture.portal.answered(1, 'ReportConnect');
      await gone(agent);
      const [session] = agent.query<{ session_id: string; end_event_id: string }>('SELECT * FROM session');
      fill(dirname(agent.state));
      const ended = await agent.disconnect('alice', STATS);
      assert.equal(await reportedDirectly(ended), session?.session_id);
      const [first] = fixture.portal.callsOf('ReportDisconnect');
      assert.equal(first?.eventId, session?.end_event_id);

      // Once there is room again, the session that was left open is closed, and the portal can tell that it knows of it.
      await toldInTheLog(agent);
      await fixture.portal.start();
      rmSync(join(dirname(agent.state), 'fill'));
      await agent.disconnect('alice', STATS);
      await fixture.portal.answered(2, 'ReportDisconnect');
      const again = fixture.portal.callsOf('ReportDisconnect').at(-1);
      assert.equal(again?.eventId, first?.eventId);
      open.close();
    },
  );

  test('because it is mounted read-only is told directly', MOUNTS, async () => {
    await using agent = await fixture.install(EVENTS);
    await using _disk = mountTmpfs(dirname(agent.state));
    await agent.connect('alice');
    await fixture.portal.answered(1, 'ReportConnect');
    await gone(agent);
    execFileSync('mount', ['-o', 'remount,ro', dirname(agent.state)]);
    await reportedDirectly(await agent.disconnect('alice', STATS));
    await toldInTheLog(agent);
  });

  test('because others can write it, so that nobody may trust it, is told directly', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.connect('alice');
    await gone(agent);
    chmodSync(agent.state, 0o666);
    assert.match(await reportedDirectly(await agent.disconnect('alice', STATS)), /^4711-\d{10}$/);
    await toldInTheLog(agent);
  });

  test('because it is corrupt is recorded in the new one, as of a session unknown there', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.connect('alice');
    await fixture.portal.answered(1, 'ReportConnect');
    await gone(agent);
    const db = new Database(agent.state);
    // Else the log still has all of it, and the file below it is not read at all.
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    writeFileSync(agent.state, 'garbage '.repeat(2_000));
    const run = await agent.disconnect('alice', STATS);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, /set aside, and a new one begun/);
    await fixture.portal.answered(1, 'ReportDisconnect');
    const [report] = fixture.portal.callsOf('ReportDisconnect');
    assert.equal(report?.request.metadata['connect_recorded'], 'false');
    assert.equal(report?.request.stats?.bytesReceived, 18_446_744_073_709_551_615n);
  });

  test('is not told with events.enabled = false: the log alone has it', async () => {
    await using agent = await fixture.install('[events]\nenabled = false');
    await agent.connect('alice');
    chmodSync(agent.state, 0o666);
    const run = await agent.disconnect('alice', STATS);
    assert.equal(run.code, 1);
    assert.match(run.stderr, /disconnect NOT recorded: book it by hand/);
    assert.equal(fixture.portal.callsOf('ReportDisconnect').length, 0);
  });
});
