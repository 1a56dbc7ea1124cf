import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';

describe('ocagent-hook as the connect-script of a real ocserv', () => {
  const real = withRealHook({
    users: [{ name: 'alice', group: 'staff' }, 'carol'],
    policy: {
      users: {
        alice: { groups: ['staff'], routes: ['10.0.0.0/8'], dns_servers: ['10.0.0.53'] },
        carol: { allowed: false, reason: 'on leave until Monday' },
      },
    },
  });

  test(
    'lets in whom the portal allows: the same session in the call, the log and the record',
    limits,
    async () => {
      const client = await real.connect('alice');
      assertConnected(client);

      const line = await real.decision('alice');
      const sessionId = String(line['session_id']);
      assert.match(sessionId, /^[1-9]\d*-[1-9]\d{9}$/);
      assert.partialDeepStrictEqual(line, {
        msg: 'connect allowed',
        level: 'info',
        source: 'portal',
        groupname: 'staff',
        client_ip: real.vpn.network.clientAddress,
        vpn_ip: client.vpnIp,
        cache: { state: 'miss' },
        breaker: 'closed',
        portal_error: null,
        routes: ['10.0.0.0/8'],
        dns_servers: ['10.0.0.53'],
      });

      const call = await real.portal.call({ rpc: 'CheckPolicy', username: 'alice' });
      assert.equal(call['x-agent-id'], 'vpn-1');
      assert.equal(call['x-ocserv-vhost'], 'default');
      assert.partialDeepStrictEqual(call['request'], {
        username: 'alice',
        groupname: 'staff',
        sessionId,
        clientIp: real.vpn.network.clientAddress,
        vpnIp: client.vpnIp,
        device: line['device'],
      });
      assert.match(String(line['device']), /^vpns\d+$/);

      const [session, ...others] = real.sessions();
      assert.deepEqual(others, []);
      assert.partialDeepStrictEqual(session, {
        session_id: sessionId,
        ocserv_id: sessionId.split('-')[0],
        username: 'alice',
        groupname: 'staff',
        client_ip: real.vpn.network.clientAddress,
        vpn_ip: client.vpnIp,
        device: line['device'],
        source: 'portal',
        ended_wall: null,
      });
      const { stdout } = await real.vpn.ocserv.occtl('-j', 'show', 'users');
      const live: { ID: number; IPv4: string }[] = JSON.parse(stdout);
      assert.deepEqual(
        live.map(({ ID, IPv4 }) => [String(ID), IPv4]),
        [[session?.ocserv_id, client.vpnIp]],
      );
    },
  );

  test(
    'refuses whom the portal denies: the client is told, and no session begins or ends',
    limits,
    async () => {
      const client = await real.connect('carol');
      assertRefused(client);
      assert.match(client.reason, /401 Cookie is not acceptable/);
      assert.partialDeepStrictEqual(await real.decision('carol'), {
        msg: 'connect denied',
        source: 'portal',
        reason: 'on leave until Monday',
      });
      await real.settle();
      assert.equal(real.log.lines.length, 1, real.log.text);
      assert.deepEqual(real.sessions(), []);
    },
  );

  test('answers the second connect of a user from the cache, without the portal', limits, async () => {
    const first = await real.connect('alice');
    assertConnected(first);
    await first.disconnect();
    const ended = await real.log.waitFor({ msg: 'disconnect recorded' });
    const from = real.log.count;
    const second = await real.connect('alice');
    assertConnected(second);

    const line = await real.log.waitFor({ msg: 'connect allowed' }, { from });
    assert.partialDeepStrictEqual(line, { source: 'cache', cache: { state: 'hit' }, vpn_ip: second.vpnIp });
    assert.notEqual(line['session_id'], ended['session_id']);
    assert.equal(real.portal.calls({ rpc: 'CheckPolicy' }).length, 1);
    assert.deepEqual(
      real.sessions().map(({ session_id, source, ended_wall }) => [session_id, source, ended_wall === null]),
      [
        [ended['session_id'], 'portal', false],
        [line['session_id'], 'cache', true],
      ],
    );
  });

  test('answers the second connect of a denied user from the cache, too', limits, async () => {
    assertRefused(await real.connect('carol'));
    const from = real.log.count;
    assertRefused(await real.connect('carol'));
    assert.partialDeepStrictEqual(await real.log.waitFor({ msg: 'connect denied' }, { from }), {
      source: 'cache',
      reason: 'on leave until Monday',
    });
    assert.equal(real.portal.calls({ rpc: 'CheckPolicy' }).length, 1);
  });
});
