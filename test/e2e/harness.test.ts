import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { isAlive, processesIn } from '../../scripts/vpn/network.ts';
import { sendThrough, tunnelScript } from '../../scripts/vpn/traffic.ts';
import { assertConnected, assertRefused, recordedVpn } from './recorded-vpn.ts';
import { noVpn } from './require-vpn.ts';

const limits = { skip: noVpn, timeout: 60_000 };

test('a client connects, and the hook learns who, from where and to which address', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: [{ name: 'alice', group: 'staff' }] });
  const client = await vpn.connect('alice');
  assertConnected(client);

  const { environment, id } = await hook.call({ kind: 'connect' });
  assert.match(id, /^[1-9]\d*$/);
  assert.equal(environment['USERNAME'], 'alice');
  assert.equal(environment['GROUPNAME'], 'staff');
  assert.equal(environment['IP_REAL'], vpn.network.clientAddress);
  assert.equal(environment['IP_REAL_LOCAL'], vpn.network.serverAddress);
  assert.equal(environment['IP_REMOTE'], client.vpnIp);
  assert.equal(environment['VHOST'], 'default');
  assert.match(environment['DEVICE'] ?? '', /^vpns\d+$/);
});

test('the hook inherits what ocserv was given, and nothing of this process', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, {
    users: ['alice'],
    environment: { OCAGENT_CONFIG: '/some/where' },
  });
  assertConnected(await vpn.connect('alice'));
  const { environment } = await hook.call({ kind: 'connect' });
  assert.equal(environment['OCAGENT_CONFIG'], '/some/where');
  assert.equal(environment['HOME'], undefined);
});

test('a hook that exits with 1 refuses the client, who is told so', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'], body: 'exit 1' });
  const client = await vpn.connect('alice');
  assertRefused(client);
  assert.match(client.reason, /401 Cookie is not acceptable/);
  await vpn.ocserv.log.waitFor(/connect-script exit status: 1/);
  await vpn.stop();
  assert.deepEqual(
    (await hook.calls()).map(({ kind }) => kind),
    ['connect'],
  );
});

test('a wrong password never reaches the hook', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'] });
  const client = await vpn.connect({ user: 'alice', password: 'wrong' });
  assertRefused(client);
  assert.match(client.reason, /Login failed/);
  assert.deepEqual(await hook.calls(), []);
});

test('when a client leaves, the hook learns what it sent', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'] });
  const client = await vpn.connect('alice', { script: await tunnelScript(vpn.folder) });
  assertConnected(client);
  await sendThrough(vpn.network, client, { packets: 100, size: 1000 });
  const { id } = await hook.call({ kind: 'connect' });
  await client.disconnect();

  const { environment } = await hook.call({ kind: 'disconnect' });
  assert.equal(environment['ID'], id);
  assert.match(environment['STATS_DURATION'] ?? '', /^\d+$/);
  assert.match(environment['STATS_BYTES_OUT'] ?? '', /^\d+$/);
  // Besides ours the kernel may send a packet or two of its own through a new interface.
  const received = Number(environment['STATS_BYTES_IN']);
  assert.ok(received >= 102_800 && received < 104_000, `${received} bytes`);
});

test('two users connect at once, each with an ID and an address of its own', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice', 'bob'] });
  const [alice, bob] = await Promise.all([vpn.connect('alice'), vpn.connect('bob')]);
  assertConnected(alice);
  assertConnected(bob);
  assert.notEqual(alice.vpnIp, bob.vpnIp);
  const first = await hook.call({ kind: 'connect', user: 'alice' });
  const second = await hook.call({ kind: 'connect', user: 'bob' });
  assert.notEqual(first.id, second.id);
  const { stdout } = await vpn.ocserv.occtl('-j', 'show', 'users');
  const live: { ID: number; Username: string }[] = JSON.parse(stdout);
  assert.deepEqual(
    live.map(({ ID, Username }) => `${ID} ${Username}`).sort(),
    [`${first.id} alice`, `${second.id} bob`].sort(),
  );

  await vpn.stop();
  assert.equal((await hook.calls()).filter(({ kind }) => kind === 'disconnect').length, 2);
});

test('host-update comes once DTLS is up', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'], dtls: true });
  assertConnected(await vpn.connect('alice', { dtls: true }));
  const update = await hook.call({ kind: 'host-update' });
  assert.equal(update.id, (await hook.call({ kind: 'connect' })).id);
});

test('an ocserv that was killed comes back on the same files', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'] });
  const lost = await vpn.connect('alice');
  assertConnected(lost);
  await vpn.ocserv.kill();
  await lost.kill();
  await vpn.restart();
  assertConnected(await vpn.connect('alice'));
  assert.deepEqual((await hook.calls()).map(({ kind }) => kind).sort(), ['connect', 'connect']);
});

test('nothing is left when it is over: no namespace, no process, no file', limits, async (t) => {
  const { vpn } = await recordedVpn(t, { users: ['alice'], body: 'setsid sleep 1000 & exit 0' });
  assertConnected(await vpn.connect('alice'));
  const { network, ocserv } = vpn;
  const processes = [...(await processesIn(network.server)), ...(await processesIn(network.client))];
  assert.ok(processes.includes(ocserv.pid));

  await vpn.close();
  const namespaces = [network.server, network.client].filter((name) => existsSync(`/run/netns/${name}`));
  assert.deepEqual(namespaces, []);
  assert.deepEqual(processes.filter(isAlive), []);
});
