import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sendThrough, tunnelScript } from '../../scripts/vpn/traffic.ts';
import { limits, type SessionRow, withRealHook } from './real-hook.ts';
import { assertConnected } from './recorded-vpn.ts';
import {
  allDelivered,
  drains,
  REASON,
  type Report,
  report,
  reports,
  reportsOf,
  sessionOf,
} from './reports.ts';

/** Whose disconnects wait until the test lets them go on. */
const HELD = 'carol';
const many = Array.from({ length: 10 }, (_, index) => `user-${index}`);
const users = ['alice', 'bob', HELD, ...many];

describe('what the portal is told of sessions that a real ocserv has', () => {
  const real = withRealHook({
    users,
    policy: {
      users: Object.fromEntries(users.map((user) => [user, { routes: ['10.7.0.0/16'] }])),
      rpc: { ReportConnect: { updated_routes: ['10.8.0.0/16'] } },
    },
    body: `[ "$REASON $USERNAME" != "disconnect ${HELD}" ] || wait_at_gate\nexec "$hook"`,
  });

  test('one connect and one disconnect, in that order, with what ocserv said', limits, async () => {
    const script = await tunnelScript(real.vpn.folder);
    const client = await real.connect('alice', { script });
    assertConnected(client);
    await sendThrough(real.vpn.network, client, { packets: 100 });
    await client.disconnect();
    const session = await sessionOf(real, 'alice');
    await report(real, 'ReportDisconnect', session);
    await allDelivered(real);

    const asked = real.portal.calls({ rpc: 'CheckPolicy', session_id: session });
    assert.equal(asked.length, 1);
    const [row, ...others] = real.sessions();
    assert.deepEqual(others, []);
    assert.equal(row?.session_id, session);
    const [connect, disconnect] = await oneOfEach(session);
    const began = await environmentOf('connect', session);
    assert.partialDeepStrictEqual(connect.request, {
      username: 'alice',
      clientIp: began['IP_REAL'],
      vpnIp: began['IP_REMOTE'],
      device: began['DEVICE'],
    });
    assert.partialDeepStrictEqual(connect.request.metadata, {
      source: 'portal',
      user_agent: began['USER_AGENT'],
      hostname: began['REMOTE_HOSTNAME'],
      server_vpn_ip: began['IP_LOCAL'],
      server_ip: began['IP_REAL_LOCAL'],
    });
    assert.match(String(began['USER_AGENT']), /AnyConnect/);
    assert.equal(connect.request.metadata['fail_mode'], undefined);
    assert.partialDeepStrictEqual(connect, { 'x-agent-id': 'vpn-1', 'x-ocserv-vhost': began['VHOST'] });
    assert.equal(disconnect.request.reason, REASON.UNSPECIFIED);
    const { bytesReceived } = disconnect.request.stats;
    assert.ok(Number(bytesReceived) >= 102_800, `${bytesReceived} bytes`);
  });

  test('the same of ten users at once, over one connection for each drain', limits, async () => {
    const script = await tunnelScript(real.vpn.folder);
    await Promise.all(
      many.map(async (user, index) => {
        const client = await real.connect(user, { script });
        assertConnected(client);
        await sendThrough(real.vpn.network, client, { packets: 10 + index });
        await client.disconnect();
        await report(real, 'ReportDisconnect', await sessionOf(real, user));
      }),
    );
    const drained = drains(real);
    await allDelivered(real);

    assert.equal(real.sessions().length, many.length);
    for (const [index, user] of many.entries()) {
      const session = await sessionOf(real, user);
      const [connect, { request }] = await oneOfEach(session);
      assert.equal(connect.request.username, user);
      // Nobody's traffic is booked as another's.
      const sent = (10 + index) * 1_028;
      const received = Number(request.stats.bytesReceived);
      assert.ok(received >= sent && received < sent + 1_000, `${user} sent ${sent}: ${received}`);
    }
    const peers = new Set(reports(real).map(({ peer }) => peer));
    assert.ok(peers.size <= drained, `${[...peers]} of ${drained} drain(s)`);
    assert.ok(drained <= 3, `${drained} drains`);
  });

  for (const [user, order] of [
    ['bob', 'in the order that ocserv calls'],
    [HELD, 'also when the new one is told before the old one ends'],
  ] as const) {
    const name = `a reconnect with a cookie is two sessions, each with its own connect and disconnect: ${order}`;
    test(name, limits, async () => {
      const script = await tunnelScript(real.vpn.folder);
      const client = await real.connect(user, { script });
      assertConnected(client);
      await sendThrough(real.vpn.network, client, { packets: 100 });
      const first = await sessionOf(real, user);
      const from = real.log.count;
      assert.equal((await client.reconnect()).connected, true);
      const allowed = await real.log.waitFor({ msg: 'connect allowed', username: user }, { from });
      const second = String(allowed['session_id']);
      assert.notEqual(second, first);
      await report(real, 'ReportConnect', second);
      if (user === HELD) {
        assert.deepEqual(rpcs(first), ['ReportConnect']);
        await real.recording.openGate();
      }
      await report(real, 'ReportDisconnect', first);
      assert.deepEqual(rpcs(second), ['ReportConnect']);

      await client.disconnect();
      if (user === HELD) await real.recording.openGate();
      await report(real, 'ReportDisconnect', second);
      await allDelivered(real);
      assert.equal(real.sessions().length, 2);
      const [, old] = await oneOfEach(first);
      assert.ok(Number(old.request.stats.bytesReceived) >= 102_800);
      const [connect, disconnect] = await oneOfEach(second);
      // The answer to the first connect is fresh still.
      assert.equal(connect.request.metadata['source'], 'cache');
      assert.ok(Number(disconnect.request.stats.bytesReceived) < 10_000);
    });
  }

  test(
    'the routes that the portal names, for the connect and later, are kept with the session',
    limits,
    async () => {
      assertConnected(await real.connect('alice'));
      await report(real, 'ReportConnect', await sessionOf(real, 'alice'));
      await allDelivered(real);
      const { stdout } = await real.command('sessions', 'list', '--json');
      assert.partialDeepStrictEqual(JSON.parse(stdout), [
        { username: 'alice', state: 'live', routes: ['10.7.0.0/16'], updated_routes: ['10.8.0.0/16'] },
      ]);
    },
  );

  function rpcs(session: string): string[] {
    return reportsOf(real, session).map(({ rpc }) => rpc);
  }

  /** The session's connect and disconnect, of which there must be one each, and nothing else. */
  async function oneOfEach(session: string): Promise<[Report, Report]> {
    assert.deepEqual(rpcs(session), ['ReportConnect', 'ReportDisconnect']);
    const [connect, disconnect] = reportsOf(real, session);
    assert.ok(connect && disconnect);
    assert.notEqual(connect['x-event-id'], disconnect['x-event-id']);
    const UUIDV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    for (const told of [connect, disconnect]) assert.match(told['x-event-id'], UUIDV7);
    const ended = await environmentOf('disconnect', session);
    assert.match(String(ended['STATS_DURATION']), /^\d+$/);
    assert.partialDeepStrictEqual(disconnect.request.stats, {
      bytesReceived: ended['STATS_BYTES_IN'],
      bytesSent: ended['STATS_BYTES_OUT'],
      durationSeconds: ended['STATS_DURATION'],
    });
    return [connect, disconnect];
  }

  /** What ocserv said to the hook about that session. */
  async function environmentOf(kind: string, session: string): Promise<Readonly<Record<string, string>>> {
    const row = real.sessions().find(({ session_id }) => session_id === session) as SessionRow;
    const calls = await real.recording.calls();
    const call = calls.find(
      (one) => one.kind === kind && one.id === row.ocserv_id && one.user === row.username,
    );
    assert.ok(call, `no ${kind} of ${session}`);
    return call.environment;
  }
});
