import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { firewallStubs } from '../../scripts/vpn/firewall-stubs.ts';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';

const folder = await createWorkFolder();
const firewall = await firewallStubs(folder.path);

describe('ocagent-hook behind ocserv-fw, which runs it as /bin/sh HOOK', () => {
  after(() => folder.remove());
  const real = withRealHook({
    users: ['alice', 'carol'],
    policy: { users: { alice: {}, carol: { allowed: false, reason: 'on leave until Monday' } } },
    path: [firewall.path],
    extra: ['restrict-user-to-routes = true'],
  });

  test('lets in whom the portal allows, with the rules of the firewall in place', limits, async () => {
    const client = await real.connect('alice');
    assertConnected(client);
    const line = await real.decision('alice');
    assert.partialDeepStrictEqual(line, { msg: 'connect allowed', source: 'portal', vpn_ip: client.vpnIp });
    assert.match(await readFile(firewall.log, 'utf8'), new RegExp(`-A FORWARD-ocserv-fw-${line['device']} `));
    await client.disconnect();
    await real.log.waitFor({ msg: 'disconnect recorded', session_id: line['session_id'], known: true });
  });

  test('refuses whom the portal denies', limits, async () => {
    const client = await real.connect('carol');
    assertRefused(client);
    assert.match(client.reason, /401 Cookie is not acceptable/);
    assert.partialDeepStrictEqual(await real.decision('carol'), {
      msg: 'connect denied',
      reason: 'on leave until Monday',
    });
    await real.settle();
    assert.equal(real.log.lines.length, 1, real.log.text);
    assert.deepEqual(real.sessions(), []);
  });
});
