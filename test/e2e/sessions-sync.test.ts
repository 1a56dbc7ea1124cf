import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Connected } from '../../scripts/vpn/client.ts';
import { sendThrough, tunnelScript } from '../../scripts/vpn/traffic.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected } from './recorded-vpn.ts';
import {
  allDelivered,
  kernelCounts,
  occtlConfig,
  ocservIds,
  REASON,
  type Report,
  report,
  reportsOf,
  type Stats,
  sessionOf,
  syncWell,
  thrownOut,
} from './reports.ts';

/** Two names that occtl prints alike: it has each byte from 0x80 on as U+00FF. */
const OMEGA = 'Ωmega';
const PSI = 'Ψmega';
const names = ['alice', 'bob', 'carol', 'dave', OMEGA, PSI];
const users = Object.fromEntries(names.map((user) => [user, {}]));
const COUNTS = ['bytesReceived', 'bytesSent', 'packetsReceived', 'packetsSent'] as const;

describe('sessions sync beside a real ocserv', () => {
  const real = withRealHook({ users: names, policy: { users } });

  test('tells the portal of each live session and its traffic, and asks about it', limits, async () => {
    real.configure(occtlConfig(real));
    const script = await tunnelScript(real.vpn.folder);
    const alice = await real.connect('alice', { script });
    assertConnected(alice);
    assertConnected(await real.connect('bob'));
    const [first, second] = [await sessionOf(real, 'alice'), await sessionOf(real, 'bob')];

    // What comes in and what goes out differ, so neither can pass for the other.
    await sendThrough(real.vpn.network, alice, { packets: 100 });
    const early = await synced(first);
    assert.ok(Number(early.bytesReceived) >= 102_800, `${early.bytesReceived} bytes`);
    assert.ok(Number(early.packetsReceived) >= 100, `${early.packetsReceived} packets`);
    await sendThrough(real.vpn.network, alice, { packets: 50 });
    const late = await synced(first);
    assert.ok(Number(late.bytesReceived) >= Number(early.bytesReceived) + 51_400);
    for (const count of COUNTS) assert.ok(BigInt(late[count]) >= BigInt(early[count]), count);
    assert.notEqual(late.bytesReceived, late.bytesSent);

    for (const session of [first, second]) {
      const asked = real.portal.calls({ rpc: 'ValidateSession', session_id: session });
      assert.equal(asked.length, 2);
      assert.partialDeepStrictEqual(asked[0]?.['request'], { clientIp: '10.99.0.2' });
      assert.deepEqual(
        reportsOf(real, session).map(({ rpc }) => rpc),
        ['ReportConnect', 'ReportSessionUpdate', 'ReportSessionUpdate'],
      );
    }
    const ids = reportsOf(real, first, second).map((told) => told['x-event-id']);
    assert.equal(new Set(ids).size, 6);

    await alice.disconnect();
    const end = await report(real, 'ReportDisconnect', first);
    for (const count of COUNTS) {
      assert.ok(
        BigInt(end.request.stats[count]) >= BigInt(late[count]),
        `${count} ${end.request.stats[count]}`,
      );
    }
  });

  test('takes up a session whose connect was not recorded, and tells the portal of it', limits, async () => {
    const client = await real.connect('alice');
    assertConnected(client);
    const [row] = real.sessions();
    // From here on the program has a state that knows nothing of her.
    real.configure(occtlConfig(real));
    assert.partialDeepStrictEqual(await syncWell(real), { live: 1, taken_up: 1, closed: 0 });
    const [taken, ...others] = real.sessions();
    assert.deepEqual(others, []);
    assert.partialDeepStrictEqual(taken, {
      ocserv_id: row?.ocserv_id,
      username: 'alice',
      vpn_ip: row?.vpn_ip,
    });
    const session = String(taken?.session_id);
    assert.partialDeepStrictEqual(await syncWell(real), { live: 1, taken_up: 0, closed: 0 });
    await client.disconnect();
    await report(real, 'ReportDisconnect', session);
    await allDelivered(real);
    assert.deepEqual(
      reportsOf(real, session).map(({ rpc }) => rpc),
      ['ReportConnect', 'ReportSessionUpdate', 'ReportSessionUpdate', 'ReportDisconnect'],
    );
  });

  test("ends whom an update's answer names, and tells why by the portal's words", limits, async () => {
    real.configure(occtlConfig(real));
    const orders = {
      alice: 'the certificate was revoked',
      bob: 'policy violation: two countries at once',
      carol: 'account closed',
    };
    const clients = await connected('alice', 'bob', 'carol', 'dave');
    await real.portal.setPolicy({
      users: {
        ...users,
        ...Object.fromEntries(
          Object.entries(orders).map(([user, disconnect_reason]) => [
            user,
            { rpc: { ReportSessionUpdate: { should_disconnect: true, disconnect_reason } } },
          ]),
        ),
      },
    });
    await syncWell(real);
    await thrownOut(...clients.slice(0, 3));
    for (const [user, reason] of [
      ['alice', REASON.CERTIFICATE_REVOKED],
      ['bob', REASON.POLICY_VIOLATION],
      ['carol', REASON.ADMIN_FORCED],
    ] as const) {
      const ended = await report(real, 'ReportDisconnect', await sessionOf(real, user));
      assert.equal(ended.request.reason, reason, user);
    }
    await stays('dave');
  });

  test('ends whom the portal forces out when it is asked, and him alone', limits, async () => {
    real.configure(occtlConfig(real));
    const [alice] = await connected('alice', 'bob');
    await real.portal.setPolicy({
      users: {
        ...users,
        alice: { valid: false, invalid_reason: 'certificate revoked', force_disconnect: true },
      },
    });
    assert.partialDeepStrictEqual(await syncWell(real), { live: 2, invalid: 1 });
    await thrownOut(alice as Connected);
    const ended = await report(real, 'ReportDisconnect', await sessionOf(real, 'alice'));
    assert.equal(ended.request.reason, REASON.CERTIFICATE_REVOKED);
    await stays('bob');
  });

  test('lets a session that is merely not valid go on, and logs it', limits, async () => {
    real.configure(occtlConfig(real));
    await connected('alice', 'bob');
    await real.portal.setPolicy({
      users: { ...users, alice: { valid: false, invalid_reason: 'shift is over' } },
    });
    assert.partialDeepStrictEqual(await syncWell(real), { live: 2, invalid: 1, ended_by_order: 0 });
    const lines = real.log.all({ reason: 'shift is over' });
    assert.equal(lines.length, 1);
    const session = await sessionOf(real, 'alice');
    assert.partialDeepStrictEqual(lines[0], { level: 'warn', session_id: session, username: 'alice' });
    await stays('alice');
    await stays('bob');
  });

  for (const [how, order] of [
    ['when it is asked', { valid: false, invalid_reason: 'revoked', force_disconnect: true }],
    [
      "in an update's answer",
      { rpc: { ReportSessionUpdate: { should_disconnect: true, disconnect_reason: 'revoked' } } },
    ],
  ] as const) {
    const name = `ends the right one of two whose names occtl cannot tell apart: ${how}`;
    test(name, limits, async () => {
      real.configure(occtlConfig(real));
      const [omega] = await connected(OMEGA, PSI);
      await real.portal.setPolicy({ users: { ...users, [OMEGA]: order } });
      assert.partialDeepStrictEqual(await syncWell(real), { live: 2, taken_up: 0, closed: 0 });
      await thrownOut(omega as Connected);
      const ended = await report(real, 'ReportDisconnect', await sessionOf(real, OMEGA));
      assert.equal(ended.request.username, OMEGA);
      assert.equal(ended.request.reason, REASON.CERTIFICATE_REVOKED);
      await stays(PSI);
    });
  }

  async function connected(...who: readonly string[]): Promise<Connected[]> {
    return Promise.all(
      who.map(async (user) => {
        const client = await real.connect(user);
        assertConnected(client);
        return client;
      }),
    );
  }

  /** After all is done that was ordered, his session is live: for ocserv, on record and for the portal. */
  async function stays(username: string): Promise<void> {
    await allDelivered(real);
    const session = await sessionOf(real, username);
    const row = real.sessions().find(({ session_id }) => session_id === session);
    assert.equal(row?.ended_wall, null);
    assert.ok((await ocservIds(real)).includes(String(row?.ocserv_id)), `ocserv has ${username} no longer`);
    assert.ok(reportsOf(real, session).every(({ rpc }) => rpc !== 'ReportDisconnect'));
  }

  /** One sync, of which the portal must hear what the kernel has counted by then; what it heard of that session. */
  async function synced(session: string): Promise<Stats> {
    const row = real.sessions().find(({ session_id }) => session_id === session);
    const before = await kernelCounts(real, String(row?.device));
    assert.partialDeepStrictEqual(await syncWell(real), { live: 2, taken_up: 0, closed: 0, invalid: 0 });
    const after = await kernelCounts(real, String(row?.device));
    const told = reportsOf(real, session).at(-1) as Report;
    assert.equal(told.rpc, 'ReportSessionUpdate');
    const stats = told.request.currentStats;
    for (const count of COUNTS) {
      const [least, most] = [BigInt(before[count]), BigInt(after[count])];
      const reported = BigInt(stats[count]);
      assert.ok(least <= reported && reported <= most, `${count}: ${reported} is not ${least} to ${most}`);
    }
    return stats;
  }
});
