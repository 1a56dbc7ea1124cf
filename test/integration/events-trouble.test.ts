import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Database from 'better-sqlite3';
import type { PolicyInput } from '../../scripts/portal/policy.ts';
import { type Agent, CONNECT, DISCONNECT } from './agent.ts';
import { EVENTS, gone, pending, WITHOUT_DRAIN } from './events.ts';
import { withPortal } from './fixture.ts';

const STATS = { STATS_BYTES_IN: '5', STATS_BYTES_OUT: '6', STATS_DURATION: '7' };

interface EventRow {
  type: string;
  username: string;
  attempts: number;
  retry_at: number;
  failed_wall: number | null;
  last_error: string | null;
}

const rows = (agent: Agent): EventRow[] => agent.query<EventRow>('SELECT * FROM event ORDER BY seq');

async function statusOf(agent: Agent): Promise<Record<string, unknown>> {
  return JSON.parse((await agent.command('events', 'status', '--json')).stdout);
}

describe('a portal that is away', () => {
  const allowed: PolicyInput = { default: { allowed: true } };
  const fixture = withPortal(allowed);

  test('keeps events waiting, costs the hooks nothing, and gets all of them once it is back', async () => {
    await using agent = await fixture.install(`${EVENTS}\n[resilience]\nfail_mode = "open"`);
    await fixture.portal.stop();
    for (let i = 0; i < 6; i++) {
      const own = { USERNAME: `user${i}`, ID: `${i + 1}` };
      assert.equal((await agent.hook({ ...CONNECT, ...own })).code, 0);
      assert.equal((await agent.hook({ ...DISCONNECT, ...own, ...STATS })).code, 0);
    }
    await gone(agent);
    const waiting = await statusOf(agent);
    assert.equal(waiting['pending'], 12);
    assert.deepEqual(waiting['pending_by_type'], { connect: 6, disconnect: 6, update: 0 });
    assert.ok(Number(waiting['oldest_pending_seconds']) > 0);
    const drain = waiting['drain'] as Record<string, unknown>;
    assert.ok(Number(drain['failures']) >= 1);
    assert.match(String(drain['last_error']), /UNAVAILABLE: nothing listens on/);
    const failed = await agent.command('events', 'flush');
    assert.equal(failed.code, 1, 'events are left');
    assert.match(failed.stdout, /12 left/);
    assert.match(failed.stdout, /the portal could not be told: UNAVAILABLE.*start the portal/s);

    await fixture.portal.start();
    const flushed = await agent.command('events', 'flush', '--json');
    assert.equal(flushed.code, 0, flushed.stdout);
    assert.partialDeepStrictEqual(JSON.parse(flushed.stdout), { delivered: 12, pending: 0, failed: 0 });
    assert.equal(fixture.portal.callsOf('ReportConnect').length, 6);
    assert.equal(fixture.portal.callsOf('ReportDisconnect').length, 6);
    assert.equal((await statusOf(agent))['delivered_total'], 12);
  });

  test('while 1,000 sessions end gets all of them afterwards, over at most two connections', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.stop();
    const before = fixture.portal.connections.accepted;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < 1_000) {
        const i = next++;
        const run = await agent.disconnect(`user${i}`, { ID: `${i + 1}`, ...STATS, STATS_BYTES_OUT: `${i}` });
        assert.equal(run.code, 0, run.stderr);
      }
    };
    await Promise.all(Array.from({ length: 6 }, worker));
    assert.partialDeepStrictEqual(await statusOf(agent), {
      pending: 1_000,
      failed: 0,
      delivered_total: 0,
      dropped_total: 0,
    });
    await fixture.portal.start();
    assert.equal((await agent.command('events', 'flush')).code, 0);
    const reports = fixture.portal.callsOf('ReportDisconnect');
    const sent = reports.map(({ request }) => [request.username, request.stats?.bytesSent]);
    assert.deepEqual(
      new Set(sent.map(([user, bytes]) => `${user} ${bytes}`)),
      new Set(Array.from({ length: 1_000 }, (_, i) => `user${i} ${i}`)),
    );
    assert.equal(new Set(reports.map(({ eventId }) => eventId)).size, 1_000);
    assert.ok(fixture.portal.connections.accepted - before <= 2, 'connections');
    assert.equal((await statusOf(agent))['pending'], 0);
  });

  test('is not tried by each hook, but by one drain after the back-off', async () => {
    await using agent = await fixture.install(
      `[events]\nretry_initial = "1h"\nretry_max = "1h"\n[resilience]\nfail_mode = "open"`,
    );
    await fixture.portal.stop();
    await agent.connect('alice');
    await gone(agent);
    const [before] = agent.query<{ term: number; failures: number }>('SELECT term, failures FROM drain');
    assert.deepEqual(before, { term: 1, failures: 1 });
    for (let i = 0; i < 5; i++) await agent.disconnect(`user${i}`, { ID: `${i}`, ...STATS });
    assert.deepEqual(agent.query('SELECT term, lease FROM drain'), [{ term: 1, lease: 'free' }]);
  });

  test('is left alone while the breaker is open, which events neither open nor close', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.command('breaker', 'trip');
    await agent.disconnect('alice', STATS);
    assert.deepEqual(agent.query('SELECT lease FROM drain'), [{ lease: 'free' }], 'no drain was sent for');
    const maintained = await agent.command('maintain');
    assert.match(maintained.stdout, /events: +0 delivered, 1 pending/);
    assert.equal(fixture.portal.calls.length, 0);
    // retry_at is reckoned anew from two clocks that are cut to milliseconds: it may be told one later.
    const breaker = async () => {
      const { retry_at, ...shown } = JSON.parse((await agent.command('breaker', 'status', '--json')).stdout);
      assert.equal(typeof retry_at, shown.state === 'open' ? 'string' : 'object');
      return shown;
    };
    const before = await breaker();
    assert.equal(before.state, 'open');
    assert.equal((await agent.command('events', 'flush')).code, 0, 'flush asks all the same');
    assert.equal(fixture.portal.callsOf('ReportDisconnect').length, 1);
    assert.deepEqual(await breaker(), before);

    await agent.command('breaker', 'reset');
    await fixture.portal.setPolicy({ ...allowed, rpc: { ReportDisconnect: { error: 'UNAVAILABLE' } } });
    for (let i = 0; i < 5; i++) await agent.disconnect(`user${i}`, { ID: `${i + 10}`, ...STATS });
    await gone(agent);
    assert.deepEqual((await breaker()).failures, 0, 'what events meet does not count');
  });

  test('is reached at its second address', async () => {
    await using agent = await fixture.install(EVENTS);
    agent.configure(
      { address: ['127.0.0.1:1', fixture.portal.address], config: EVENTS },
      fixture.certificates,
    );
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(1, 'ReportDisconnect');
    await gone(agent);
    assert.equal(pending(agent), 0);
  });
});

describe('an event that the portal does not take', () => {
  const ok: PolicyInput = { default: { allowed: true } };
  const fixture = withPortal(ok);

  test('because it is no valid one is set aside at once, and holds up neither others nor its own session', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.setPolicy({ ...ok, rpc: { ReportConnect: { error: 'INVALID_ARGUMENT' } } });
    await agent.connect('alice');
    await agent.disconnect('alice', STATS);
    await agent.disconnect('bob', { ID: '2', ...STATS });
    await fixture.portal.answered(2, 'ReportDisconnect');
    await gone(agent);
    const [left, ...others] = rows(agent);
    assert.deepEqual(others, []);
    assert.equal(left?.type, 'connect');
    assert.equal(left?.attempts, 1);
    assert.ok(left?.failed_wall !== null);
    assert.equal(fixture.portal.callsOf('ReportConnect').length, 1, 'it is not tried again');
    assert.partialDeepStrictEqual(await statusOf(agent), { pending: 0, failed: 1 });

    const listed = JSON.parse((await agent.command('events', 'list', '--failed', '--json')).stdout);
    assert.partialDeepStrictEqual(listed, [{ event: 'connect', username: 'alice', state: 'failed' }]);
    await fixture.portal.setPolicy(ok);
    const retried = await agent.command('events', 'retry', listed[0].id);
    assert.match(retried.stdout, /1 event\(s\) pending again/);
    assert.equal((await agent.command('events', 'flush')).code, 0);
    assert.deepEqual(rows(agent), []);
    const connects = fixture.portal.callsOf('ReportConnect');
    assert.equal(connects[0]?.eventId, connects[1]?.eventId);
  });

  test('though the call went well is tried again, and what comes after it waits', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.setPolicy({
      ...ok,
      rpc: { ReportConnect: { success: false, message: 'the ledger is closed' } },
    });
    await agent.connect('alice');
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(2, 'ReportConnect');
    assert.equal(fixture.portal.callsOf('ReportDisconnect').length, 0);
    const [connect] = rows(agent);
    assert.equal(connect?.last_error, 'not taken: the ledger is closed');
    await fixture.portal.setPolicy(ok);
    await fixture.portal.answered(1, 'ReportDisconnect');
    await gone(agent);
    assert.deepEqual(rows(agent), []);
  });

  test('because it does not know the call is kept for retry_max, others going on', async () => {
    await using agent = await fixture.install('[events]\nretry_initial = "100ms"\nretry_max = "1h"');
    await fixture.portal.setPolicy({ ...ok, rpc: { ReportConnect: { error: 'UNIMPLEMENTED' } } });
    await agent.connect('alice');
    await agent.disconnect('bob', { ID: '2', ...STATS });
    await fixture.portal.answered(1, 'ReportDisconnect');
    await gone(agent);
    const [left, ...others] = rows(agent);
    assert.deepEqual(others, []);
    assert.equal(left?.attempts, 1);
    const wait = Number(left?.retry_at) - Date.now();
    assert.ok(wait > 50 * 60_000 && wait <= 3_600_000, `${wait} ms`);
    assert.equal(left?.failed_wall, null);
  });

  test('from a portal that is sick for one user alone does not keep it from taking the others', async () => {
    await using agent = await fixture.install(EVENTS, 'timeout = "400ms"');
    await fixture.portal.setPolicy({
      ...ok,
      users: { slow: { delay: '30s' }, broken: { error: 'INTERNAL' } },
    });
    for (const [i, user] of ['slow', 'broken', 'alice', 'bob', 'carol'].entries()) {
      await agent.hook({ ...DISCONNECT, ...STATS, USERNAME: user, ID: `${i + 1}` }, WITHOUT_DRAIN);
    }
    assert.equal(rows(agent).length, 5);
    await agent.command('maintain');
    assert.deepEqual(
      rows(agent).map(({ username }) => username),
      ['slow', 'broken'],
    );
  });

  test('is given up by a person, by its id or with all that have failed, and counted', async () => {
    await using agent = await fixture.install(EVENTS);
    await fixture.portal.setPolicy({ ...ok, rpc: { ReportDisconnect: { error: 'INVALID_ARGUMENT' } } });
    for (let i = 0; i < 3; i++) await agent.disconnect(`user${i}`, { ID: `${i + 1}`, ...STATS });
    await fixture.portal.answered(3, 'ReportDisconnect');
    await gone(agent);
    const listed = JSON.parse((await agent.command('events', 'list', '--json')).stdout);
    assert.equal(listed.length, 3);
    const wrong = await agent.command('events', 'drop', listed[0].id, 'no-such-id');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /no such event: no-such-id; nothing was changed/);
    assert.equal(rows(agent).length, 3);
    assert.equal((await agent.command('events', 'drop')).code, 2, 'it must be said which');
    assert.equal((await agent.command('events', 'drop', listed[0].id)).code, 0);
    assert.equal(rows(agent).length, 2);
    assert.match((await agent.command('events', 'drop', '--failed')).stdout, /2 event/);
    assert.deepEqual(rows(agent), []);
    assert.equal((await statusOf(agent))['dropped_total'], 3);
  });
});

describe('an outbox that is full', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('lets its oldest connects go, counted and logged, and never a disconnect', async () => {
    await using agent = await fixture.install(
      '[events]\nmax_pending = 4\nretry_initial = "1h"\nretry_max = "1h"',
    );
    await agent.command('breaker', 'trip');
    agent.configure(
      {
        address: fixture.portal.address,
        config:
          '[events]\nmax_pending = 4\nretry_initial = "1h"\nretry_max = "1h"\n[resilience]\nfail_mode = "open"',
      },
      fixture.certificates,
    );
    const logs = [];
    for (let i = 0; i < 4; i++) {
      const own = { USERNAME: `user${i}`, ID: `${i + 1}` };
      logs.push(
        await agent.hook({ ...CONNECT, ...own }),
        await agent.hook({ ...DISCONNECT, ...own, ...STATS }),
      );
    }
    logs.push(await agent.disconnect('late', { ID: '99', ...STATS }));
    assert.deepEqual(
      rows(agent).map(({ type, username }) => `${type} ${username}`),
      ['disconnect user0', 'disconnect user1', 'disconnect user2', 'disconnect user3', 'disconnect late'],
    );
    assert.equal((await statusOf(agent))['dropped_total'], 4);
    const told = logs.flatMap(({ log }) => log).filter(({ msg }) => String(msg).startsWith('events dropped'));
    assert.equal(told.length, 4);
    assert.equal(told[0]?.['connect'], 1);
  });
});

describe('a clock that is set back', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('leaves no event waiting for the old time', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.hook({ ...DISCONNECT, ...STATS, USERNAME: 'alice' }, WITHOUT_DRAIN);
    assert.equal(pending(agent), 1);
    const db = new Database(agent.state);
    db.exec(`UPDATE event SET retry_at = ${Date.now() + 7 * 86_400_000}`);
    db.exec(`UPDATE drain SET retry_at = ${Date.now() + 7 * 86_400_000}`);
    db.close();
    await agent.disconnect('bob', { ID: '2', ...STATS });
    await fixture.portal.answered(2, 'ReportDisconnect');
  });
});
