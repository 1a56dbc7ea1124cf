import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { firewallStubs } from '../../scripts/vpn/firewall-stubs.ts';
import { asFromCertificate, HOSTILE_NAMES } from '../../scripts/vpn/hostile-names.ts';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';
import { assertConnected, assertRefused, recordedVpn } from './recorded-vpn.ts';
import { noVpn } from './require-vpn.ts';

const limits = { skip: noVpn, timeout: 60_000 };

test(
  'with restrict-user-to-routes the hook is called by ocserv-fw, and its status still decides',
  limits,
  async (t) => {
    const folder = await createWorkFolder();
    t.after(() => folder.remove());
    const firewall = await firewallStubs(folder.path);
    const { vpn, hook } = await recordedVpn(t, {
      users: ['alice', 'mallory'],
      path: [firewall.path],
      extra: ['restrict-user-to-routes = true'],
      body: 'test "$USERNAME" = alice',
    });
    const alice = await vpn.connect('alice');
    assertConnected(alice);
    assertRefused(await vpn.connect('mallory'));

    const { environment } = await hook.call({ kind: 'connect', user: 'alice' });
    assert.equal(environment['OCSERV_RESTRICT_TO_ROUTES'], '1');
    assert.equal(environment['OCSERV_NEXT_SCRIPT'], undefined);
    assert.match(
      await readFile(firewall.log, 'utf8'),
      /^iptables -A FORWARD-ocserv-fw-vpns0 .*10\.201\.0\.0/m,
    );
    await alice.disconnect();
    await hook.call({ kind: 'disconnect', user: 'alice' });
  },
);

test('hostile names from a passwords file reach the hook byte by byte', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: HOSTILE_NAMES });
  for (const name of HOSTILE_NAMES) assertConnected(await vpn.connect(name));
  const connects = (await hook.calls()).filter(({ kind }) => kind === 'connect');
  assert.deepEqual(connects.map(({ user }) => user).sort(), [...HOSTILE_NAMES].sort());
  assert.equal(existsSync('/tmp/ocagent-was-here'), false);
});

test('a name that is no UTF-8 reaches the hook as it is', limits, async (t) => {
  const name = Buffer.from([0x62, 0xff, 0xfe, 0x64]);
  const { vpn, hook } = await recordedVpn(t, { users: [name] });
  assertConnected(await vpn.connect(name));
  // U+FFFD stands for each byte that is no UTF-8, as in a hook's process.env.
  assert.equal((await hook.call({ kind: 'connect' })).user, 'b\ufffd\ufffdd');
});

test('a certificate says the user (CN) and the group (OU), special characters escaped', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, {});
  for (const name of ['alice', ...HOSTILE_NAMES]) {
    const credential = await vpn.credential({ commonName: name, organizationalUnit: 'staff' });
    assertConnected(await vpn.connect(credential));
  }
  const connects = (await hook.calls()).filter(({ kind }) => kind === 'connect');
  const expected = ['alice', ...HOSTILE_NAMES].map(asFromCertificate);
  assert.deepEqual(connects.map(({ user }) => user).sort(), expected.sort());
  for (const { environment } of connects) assert.equal(environment['GROUPNAME'], 'staff');
});

test('a reconnect is a disconnect of the old ID and a connect of a new one', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'] });
  const client = await vpn.connect('alice');
  assertConnected(client);
  const first = await hook.call({ kind: 'connect' });
  assert.equal((await client.reconnect()).connected, true);

  const second = await hook.call({ kind: 'connect', otherThan: first.id });
  assert.equal((await hook.call({ kind: 'disconnect' })).id, first.id);
  assert.equal(second.environment['IP_REMOTE'], first.environment['IP_REMOTE']);
});

const slow = `
if [ "$REASON" = connect ]; then
  trap 'record terminated; exit 5' TERM
  record waiting
  sleep 50 & wait
fi`;

test('a session that is cut while its connect-script waits ends the script by SIGTERM', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'], body: slow });
  const client = await vpn.dial('alice');
  const { id } = await hook.call({ kind: 'waiting' });
  await vpn.ocserv.occtl('disconnect', 'user', 'alice');
  assert.equal((await hook.call({ kind: 'terminated' })).id, id);
  await client.kill();
  await vpn.stop();
  assert.deepEqual(
    (await hook.calls()).map(({ kind }) => kind),
    ['connect', 'terminated', 'waiting'],
  );
});

test('auth-timeout ends a connect-script that takes longer by SIGTERM', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'], body: slow, extra: ['auth-timeout = 2'] });
  const client = await vpn.dial('alice');
  const { id } = await hook.call({ kind: 'waiting' });
  assert.equal((await hook.call({ kind: 'terminated' })).id, id);
  assertRefused(await client.outcome());
});

test('a stop of the server ends a connect-script that waits by SIGTERM', limits, async (t) => {
  const { vpn, hook } = await recordedVpn(t, { users: ['alice'], body: slow });
  await vpn.dial('alice');
  await hook.call({ kind: 'waiting' });
  await vpn.ocserv.stop();
  await hook.call({ kind: 'terminated' });
});

test(
  'a client that vanishes while its connect-script waits is missed only when the script is done',
  limits,
  async (t) => {
    const body = 'if [ "$REASON" = connect ]; then wait_at_gate; fi';
    const { vpn, hook } = await recordedVpn(t, { users: ['alice'], body });
    const client = await vpn.dial('alice');
    const { id } = await hook.call({ kind: 'connect' });
    await client.kill();
    assert.equal((await hook.calls()).length, 1);
    await hook.openGate();
    assert.equal((await hook.call({ kind: 'disconnect' })).id, id);
  },
);
