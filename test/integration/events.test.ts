import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Agent, CONNECT, DISCONNECT, LAUNCHER } from './agent.ts';
import { EVENTS, gone } from './events.ts';
import { withPortal } from './fixture.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const STATS = {
  STATS_BYTES_IN: '18446744073709551615',
  STATS_BYTES_OUT: '9007199254740993',
  STATS_DURATION: '61',
};

describe('what hooks report', () => {
  const fixture = withPortal({
    default: { allowed: true, routes: ['10.0.0.0/8'] },
    users: {
      carol: { allowed: false },
      dave: { routes: ['10.0.0.0/8'], rpc: { ReportConnect: { updated_routes: ['10.9.0.0/16'] } } },
    },
  });

  test('is a connect and a disconnect, under one session id, each with an id and a time of its own', async () => {
    await using agent = await fixture.install(EVENTS);
    const client = {
      VHOST: 'staff',
      DEVICE_TYPE: 'phone',
      DEVICE_PLATFORM: 'ios',
      USER_AGENT: 'AnyConnect 5',
      REMOTE_HOSTNAME: 'laptop',
      IP_LOCAL: '10.200.0.1',
      IPV6_REMOTE: 'fd00::2',
    };
    const began = await agent.connect('alice', client);
    assert.equal(began.code, 0, began.stderr);
    const ended = await agent.disconnect('alice', { ...client, ...STATS });
    assert.equal(ended.code, 0, ended.stderr);
    await fixture.portal.answered(3);
    const [policy] = fixture.portal.callsOf('CheckPolicy');
    const [connect] = fixture.portal.callsOf('ReportConnect');
    const [disconnect] = fixture.portal.callsOf('ReportDisconnect');
    assert.partialDeepStrictEqual(connect?.request, {
      username: 'alice',
      groupname: 'staff',
      sessionId: policy?.request.sessionId,
      clientIp: CONNECT.IP_REAL,
      vpnIp: CONNECT.IP_REMOTE,
      device: CONNECT.DEVICE,
      metadata: {
        source: 'portal',
        device_type: 'phone',
        device_platform: 'ios',
        user_agent: 'AnyConnect 5',
        hostname: 'laptop',
        server_vpn_ip: '10.200.0.1',
        vpn_ipv6: 'fd00::2',
      },
    });
    assert.deepEqual(disconnect?.request, {
      username: 'alice',
      sessionId: policy?.request.sessionId,
      disconnectedAt: disconnect?.request.disconnectedAt,
      reason: 0,
      stats: {
        durationSeconds: 61n,
        bytesReceived: 18_446_744_073_709_551_615n,
        bytesSent: 9_007_199_254_740_993n,
        packetsReceived: 0n,
        packetsSent: 0n,
      },
      metadata: disconnect?.request.metadata,
    });
    for (const call of [connect, disconnect]) {
      assert.match(call?.eventId ?? '', UUID_V7);
      assert.equal(call?.agentId, 'vpn-test');
      assert.equal(call?.vhost, 'staff');
    }
    assert.notEqual(connect?.eventId, disconnect?.eventId);
    assert.equal(connect?.peer, disconnect?.peer, 'over one connection');
    const [session] = agent.query<{ connected_wall: number; ended_wall: number }>('SELECT * FROM session');
    assert.equal(connect?.request.connectedAt?.getTime(), session?.connected_wall);
    assert.equal(disconnect?.request.disconnectedAt?.getTime(), session?.ended_wall);
    await gone(agent);
    assert.deepEqual(agent.query('SELECT * FROM event'), [], 'what the portal took is gone');
  });

  test('says how the connect was decided, and by which fail mode where the portal could not be asked', async () => {
    await using agent = await fixture.install(`${EVENTS}\n[resilience]\nfail_mode = "open"`);
    await fixture.portal.setPolicy({ rpc: { CheckPolicy: { error: 'UNAVAILABLE' } } });
    const run = await agent.connect('alice');
    assert.equal(run.decision?.['source'], 'fail-open', run.stderr);
    await fixture.portal.answered(1, 'ReportConnect');
    const [connect] = fixture.portal.callsOf('ReportConnect');
    assert.partialDeepStrictEqual(connect?.request.metadata, { source: 'fail-open', fail_mode: 'open' });
    assert.equal(connect?.vhost, undefined, 'the portal need not hear of our default');
  });

  test('is nothing of a connect that is denied, and everything that observe mode lets in', async () => {
    await using agent = await fixture.install(EVENTS);
    assert.equal((await agent.connect('carol')).code, 1);
    assert.deepEqual(agent.query('SELECT * FROM event'), []);
    agent.configure(
      { address: fixture.portal.address, config: `${EVENTS}\n[hook]\nmode = "observe"` },
      fixture.certificates,
    );
    assert.equal((await agent.connect('carol')).code, 0);
    await fixture.portal.answered(1, 'ReportConnect');
    const [connect] = fixture.portal.callsOf('ReportConnect');
    assert.partialDeepStrictEqual(connect?.request.metadata, { mode: 'observe', decision: 'denied' });
  });

  test('brings back routes, which sessions list shows beside those of the decision', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.connect('dave');
    await fixture.portal.answered(1, 'ReportConnect');
    await gone(agent);
    const [session] = JSON.parse((await agent.command('sessions', 'list', '--json')).stdout);
    assert.partialDeepStrictEqual(session, {
      username: 'dave',
      state: 'live',
      routes: ['10.0.0.0/8'],
      updated_routes: ['10.9.0.0/16'],
    });
  });

  test('is nothing with events.enabled = false, and no drain is started', async () => {
    await using agent = await fixture.install('[events]\nenabled = false');
    assert.equal((await agent.connect('alice')).code, 0);
    assert.equal((await agent.disconnect('alice', STATS)).code, 0);
    assert.deepEqual(agent.query('SELECT * FROM event'), []);
    assert.deepEqual(agent.query('SELECT term, lease FROM drain'), [{ term: 0, lease: 'free' }]);
    assert.equal(agent.query('SELECT * FROM session WHERE ended_wall IS NOT NULL').length, 1);
  });

  test('is a disconnect alone where the connect is not on record, which it says', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(1, 'ReportDisconnect');
    const [disconnect] = fixture.portal.callsOf('ReportDisconnect');
    assert.match(disconnect?.request.sessionId ?? '', /^4711-\d{10}$/);
    assert.equal(disconnect?.request.metadata['connect_recorded'], 'false');
  });

  test('is odd values too, as text', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.disconnect('alice', { STATS_BYTES_IN: '-1', STATS_DURATION: 'x', STATS_BYTES_OUT: '3' });
    await fixture.portal.answered(1, 'ReportDisconnect');
    const [disconnect] = fixture.portal.callsOf('ReportDisconnect');
    assert.partialDeepStrictEqual(disconnect?.request.metadata, {
      invalid_stats_bytes_in: '-1',
      invalid_stats_duration: 'x',
    });
    assert.equal(disconnect?.request.stats?.bytesSent, 3n);
  });
});

describe('the drain', () => {
  const fixture = withPortal({ default: { allowed: true } });

  /** Reports are held at the portal, so the drain is there as long as the test wants. */
  const heldDrain = async (agent: Agent): Promise<number> => {
    await agent.connect('alice');
    await fixture.portal.arrived(1, 'ReportConnect');
    const { drain } = agent;
    assert.ok(drain !== null, 'a drain is at work');
    return drain;
  };

  test('has a session of its own, nothing on stdin and stdout, and of its starter only stderr', async () => {
    await using agent = await fixture.install(EVENTS);
    const release = fixture.portal.hold('ReportConnect');
    const pid = await heldDrain(agent);
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    assert.equal(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]), pid, 'a session leader');
    const fd = (n: number) => readlinkSync(`/proc/${pid}/fd/${n}`);
    assert.deepEqual([fd(0), fd(1)], ['/dev/null', '/dev/null']);
    assert.match(fd(2), /stderr-0$/);
    const files = readdirSync(`/proc/${pid}/fd`).map((n) => fd(Number(n)));
    const foreign = files.filter((file) => file.startsWith('/') && !file.startsWith(agent.folder));
    assert.deepEqual(
      foreign.filter((file) => !file.startsWith('/dev/')),
      [],
    );
    assert.equal(readlinkSync(`/proc/${pid}/cwd`), '/');
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').filter(Boolean);
    const names = environment.map((entry) => entry.split('=')[0]).sort();
    const ours = ['OCAGENT_CONFIG', 'OCAGENT_RUN_DIR', 'PATH', 'SSL_CERT_DIR', 'SSL_CERT_FILE'];
    assert.deepEqual(names, ours, "nothing of a user's session");
    release();
  });

  test('gets no descriptor that ocserv leaves open', async () => {
    await using agent = await fixture.install(EVENTS);
    const release = fixture.portal.hold('ReportConnect');
    const { ended } = agent.start({ ...CONNECT, USERNAME: 'alice' }, [
      'sh',
      '-c',
      `exec 4<${agent.configFile} 5<${agent.configFile} 9<${agent.configFile}; exec "$0"`,
      LAUNCHER,
    ]);
    assert.equal((await ended).code, 0);
    await fixture.portal.arrived(1, 'ReportConnect');
    const pid = agent.drain;
    const files = readdirSync(`/proc/${pid}/fd`).map((n) => readlinkSync(`/proc/${pid}/fd/${n}`));
    assert.ok(!files.includes(agent.configFile), files.join(', '));
    release();
  });

  test('is one for a storm of 200 hooks, with one connection', async () => {
    await using agent = await fixture.install(`${EVENTS}\n[hook]\ndeadline = "100s"`, 'timeout = "20s"');
    await agent.connect('first', { ID: '1' });
    await fixture.portal.answered(1, 'ReportConnect');
    const before = fixture.portal.connections.handshakes;
    const users = Array.from({ length: 200 }, (_, i) => `user${i}`);
    // Cached connects: the only connection to the portal is then the drain's.
    const runs = await Promise.all(
      users.map((user, i) => agent.hook({ ...CONNECT, USERNAME: 'first', ID: `${100 + i}`, HOSTNAME: user })),
    );
    for (const run of runs) assert.equal(run.decision?.['source'], 'cache', run.stderr);
    await fixture.portal.answered(201, 'ReportConnect', 60_000);
    const connects = fixture.portal.callsOf('ReportConnect');
    assert.equal(new Set(connects.map(({ eventId }) => eventId)).size, 201);
    assert.ok(new Set(connects.slice(1).map(({ peer }) => peer)).size <= 2);
    assert.ok(fixture.portal.connections.handshakes - before <= 1);
    const [drain] = agent.query<{ term: number }>('SELECT term FROM drain');
    assert.ok((drain?.term ?? 99) <= 2, `${drain?.term} drains`);
  });

  test('keeps the order within each session while it sends several at once', async () => {
    await using agent = await fixture.install(EVENTS);
    const slow = { delay: '50ms' };
    await fixture.portal.setPolicy({
      default: { allowed: true },
      rpc: { ReportConnect: slow, ReportDisconnect: slow },
    });
    const hooks = Array.from({ length: 8 }, async (_, i) => {
      const own = { ID: `${200 + i}`, USERNAME: `user${i}` };
      assert.equal((await agent.hook({ ...CONNECT, ...own })).code, 0);
      assert.equal((await agent.hook({ ...DISCONNECT, ...own, ...STATS })).code, 0);
    });
    await Promise.all(hooks);
    await fixture.portal.answered(8, 'ReportDisconnect');
    const { portal } = fixture;
    assert.ok(
      portal.maxInFlight('ReportConnect') + portal.maxInFlight('ReportDisconnect') > 2,
      'several at once',
    );
    for (const ended of portal.callsOf('ReportDisconnect')) {
      const { sessionId } = ended.request;
      const began = portal.callsOf('ReportConnect').find(({ request }) => request.sessionId === sessionId);
      assert.ok(began !== undefined && portal.calls.indexOf(began) < portal.calls.indexOf(ended), sessionId);
    }
  });

  test('goes when nothing is left, and the next hook starts the next one', async () => {
    await using agent = await fixture.install(EVENTS);
    await agent.connect('alice');
    await fixture.portal.answered(1, 'ReportConnect');
    await gone(agent);
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(1, 'ReportDisconnect');
    assert.deepEqual(agent.query('SELECT term FROM drain'), [{ term: 2 }]);
  });

  test('that is killed is followed by another, and the portal sees the same event again', async () => {
    await using agent = await fixture.install(EVENTS);
    const release = fixture.portal.hold('ReportConnect');
    const pid = await heldDrain(agent);
    process.kill(pid, 'SIGKILL');
    await fixture.portal.until(
      () => fixture.portal.callsOf('ReportConnect')[0]?.answer?.status === 'CANCELLED',
      'the killed drain is gone',
    );
    release();
    await agent.disconnect('alice', STATS);
    await fixture.portal.answered(1, 'ReportDisconnect');
    const [first, second, ...more] = fixture.portal.callsOf('ReportConnect');
    assert.deepEqual(more, []);
    assert.equal(first?.eventId, second?.eventId);
    assert.equal(second?.answer?.status, 'OK');
  });
});
