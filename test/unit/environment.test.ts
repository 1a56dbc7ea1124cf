import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCall } from '../../src/hook/environment.ts';

const CONNECT = { REASON: 'connect', USERNAME: 'alice', IP_REAL: '192.0.2.1', ID: '14304' };
const DISCONNECT = { REASON: 'disconnect', USERNAME: 'alice', ID: '14304' };

type Environment = Record<string, string | undefined>;

function connect(env: Environment) {
  const call = readCall({ ...CONNECT, ...env });
  assert.ok(call.reason === 'connect', JSON.stringify(call));
  return call;
}

function disconnect(env: Environment) {
  const call = readCall({ ...DISCONNECT, ...env });
  assert.ok(call.reason === 'disconnect', JSON.stringify(call));
  return call;
}

function refused(env: Environment) {
  const call = readCall(env);
  assert.ok(call.reason === 'refused', JSON.stringify(call));
  return call;
}

describe('a call of ocserv', () => {
  test('is a connect, a disconnect or a host-update, and nothing else', () => {
    assert.equal(readCall(CONNECT).reason, 'connect');
    assert.equal(readCall(DISCONNECT).reason, 'disconnect');
    assert.equal(readCall({ REASON: 'host-update' }).reason, 'host-update');
    for (const REASON of ['', 'Connect', ' connect', 'reconnect', 'toString'])
      assert.match(refused({ ...CONNECT, REASON }).why, /unknown REASON/);
    assert.match(refused({}).why, /unknown REASON ""/);
  });

  test('lacks what it needs when a required variable is not set: all that are missing are named', () => {
    assert.match(refused({ REASON: 'connect' }).why, /missing in the environment: USERNAME, IP_REAL$/);
    assert.match(refused({ REASON: 'connect', IP_REAL: '::1' }).why, /: USERNAME$/);
    assert.match(refused({ REASON: 'disconnect' }).why, /: USERNAME, ID$/);
    assert.match(refused({ REASON: 'disconnect', USERNAME: 'alice' }).why, /: ID$/);
  });

  test('with a variable that is set and empty does not lack it: that value is invalid', () => {
    assert.match(connect({ USERNAME: '' }).invalid ?? '', /USERNAME is empty/);
    assert.match(connect({ IP_REAL: '' }).invalid ?? '', /IP_REAL "" is not an IP address/);
  });
});

describe('a connect', () => {
  test('carries all that ocserv says of the session', () => {
    const { session, invalid } = connect({
      GROUPNAME: 'staff',
      VHOST: 'b.example',
      DEVICE: 'vpns0',
      IP_REMOTE: '10.200.63.50',
      IPV6_REMOTE: 'fd00:e2e::2%1681359104',
      IP_LOCAL: '10.200.0.1',
      IP_REAL_LOCAL: '192.0.2.254',
      USER_AGENT: 'Open AnyConnect VPN Agent v9.01-3',
      DEVICE_TYPE: '',
      DEVICE_PLATFORM: 'linux-64',
      HOSTNAME: 'old',
      REMOTE_HOSTNAME: 'laptop',
    });
    assert.equal(invalid, null);
    assert.deepEqual(session, {
      username: 'alice',
      groupname: 'staff',
      vhost: 'b.example',
      vhostNamed: true,
      ocservId: '14304',
      clientIp: '192.0.2.1',
      vpnIp: '10.200.63.50',
      device: 'vpns0',
      metadata: {
        device_platform: 'linux-64',
        user_agent: 'Open AnyConnect VPN Agent v9.01-3',
        hostname: 'laptop',
        server_vpn_ip: '10.200.0.1',
        server_ip: '192.0.2.254',
        vpn_ipv6: 'fd00:e2e::2',
      },
    });
  });

  test('without a group, a vhost or an ID has no group, our default vhost that nobody named, and no ID', () => {
    for (const absent of [undefined, '']) {
      const { session } = connect({ GROUPNAME: absent, VHOST: absent, ID: absent });
      const { groupname, vhost, vhostNamed, ocservId } = session;
      assert.deepEqual([groupname, vhost, vhostNamed, ocservId], ['', 'default', false, '']);
    }
  });

  test('has the IPv6 address of the client in the VPN where it has no other', () => {
    assert.equal(connect({ IPV6_REMOTE: 'fd00::2%9' }).session.vpnIp, 'fd00::2');
    assert.equal(connect({ IP_REMOTE: '', IPV6_REMOTE: 'fd00::2' }).session.vpnIp, 'fd00::2');
  });

  test('has its scope cut off an address, whatever it is', () => {
    for (const scope of ['%eth0', '%1681359104', '%', '%%x']) {
      const { session, invalid } = connect({ IP_REAL: `fe80::1${scope}` });
      assert.deepEqual([session.clientIp, invalid], ['fe80::1', null]);
    }
  });

  test('is invalid from what is no IP address', () => {
    for (const IP_REAL of [
      'portal',
      '192.0.2',
      '192.0.2.256',
      '192.0.2.1:443',
      '[::1]',
      '%eth0',
      '::1::',
      ' ::1',
    ])
      assert.match(connect({ IP_REAL }).invalid ?? '', /IP_REAL .* is not an IP address/, IP_REAL);
  });

  test('keeps nothing of an ID that is no number, but the oddity', () => {
    for (const ID of ['-1', '1e3', '0x10', '１２', '123456789012345678901', "1'--"]) {
      const { session, invalid } = connect({ ID });
      assert.deepEqual([session.ocservId, invalid], ['', null], ID);
    }
  });
});

describe('a name', () => {
  const HOSTILE = [
    ' alice ',
    '\t',
    'a\nb\r\n\x1b[31m\x7f',
    `quote'"\``,
    '$(reboot)',
    '; & < > | * # = \\ / %0A',
    '../../etc/passwd',
    '-rf',
    '__proto__',
    'Jörg 💥 \u202e',
  ];

  test('is data: whatever bytes ocserv lets through, it stays as it is', () => {
    for (const name of HOSTILE) {
      const { session, invalid } = connect({ USERNAME: name, GROUPNAME: name });
      assert.deepEqual([session.username, session.groupname, invalid], [name, name, null]);
    }
  });

  test('has at most 63 bytes, however few characters they are', () => {
    const good = ['a'.repeat(63), `${'ä'.repeat(31)}a`, `${'💥'.repeat(15)}abc`];
    const bad = ['a'.repeat(64), 'ä'.repeat(32), '💥'.repeat(16)];
    for (const name of good) {
      assert.equal(Buffer.byteLength(name), 63);
      assert.equal(connect({ USERNAME: name, GROUPNAME: name }).invalid, null);
    }
    for (const name of bad) {
      assert.equal(Buffer.byteLength(name), 64);
      assert.match(connect({ USERNAME: name }).invalid ?? '', /^USERNAME is 64 bytes long, and at most 63/);
      assert.match(connect({ GROUPNAME: name }).invalid ?? '', /^GROUPNAME is 64 bytes long/);
    }
  });

  test('that is not UTF-8, which shows as U+FFFD, is invalid: two such names look the same', () => {
    for (const name of ['\ufffd', 'al\ufffdce']) {
      assert.match(connect({ USERNAME: name }).invalid ?? '', /^USERNAME is not valid UTF-8/);
      assert.match(connect({ GROUPNAME: name }).invalid ?? '', /^GROUPNAME is not valid UTF-8/);
    }
  });
});

describe('a disconnect', () => {
  const UINT64 = '18446744073709551615';
  const INT64 = '9223372036854775807';

  test('has exact counts, to the last one of 64 bits', () => {
    const { stats } = disconnect({
      STATS_BYTES_IN: '9007199254740993',
      STATS_BYTES_OUT: UINT64,
      STATS_DURATION: INT64,
    });
    assert.deepEqual(stats, {
      bytesIn: '9007199254740993',
      bytesOut: UINT64,
      durationSeconds: INT64,
      tunnel: null,
    });
    assert.equal(disconnect({ STATS_BYTES_IN: '0' }).stats.bytesIn, '0');
    assert.equal(disconnect({ STATS_BYTES_IN: '007' }).stats.bytesIn, '7');
  });

  test('has no counts where ocserv knows none', () => {
    const none = { bytesIn: null, bytesOut: null, durationSeconds: null, tunnel: null };
    assert.deepEqual(disconnect({}).stats, none);
    assert.deepEqual(disconnect({ STATS_BYTES_IN: '', STATS_DURATION: '' }).stats, none);
    assert.deepEqual(disconnect({}).session.metadata, {});
  });

  test('keeps a count that can be none as text, in its metadata', () => {
    const { stats, session } = disconnect({
      STATS_BYTES_IN: '18446744073709551616',
      STATS_BYTES_OUT: '-1',
      STATS_DURATION: '9223372036854775808',
    });
    assert.deepEqual(stats, { bytesIn: null, bytesOut: null, durationSeconds: null, tunnel: null });
    assert.deepEqual(session.metadata, {
      invalid_stats_bytes_in: '18446744073709551616',
      invalid_stats_bytes_out: '-1',
      invalid_stats_duration: '9223372036854775808',
    });
    for (const odd of ['1.5', '1e3', '0x10', ' 1', '1\n', 'NaN', '１']) {
      const call = disconnect({ STATS_BYTES_IN: odd });
      assert.deepEqual([call.stats.bytesIn, call.session.metadata['invalid_stats_bytes_in']], [null, odd]);
    }
  });

  test('is recorded with invalid names all the same, and they are text in its metadata', () => {
    const { session } = disconnect({ USERNAME: 'al\ufffdce', GROUPNAME: 'g'.repeat(64), ID: 'x' });
    assert.equal(session.username, 'al\ufffdce');
    assert.deepEqual(session.metadata, {
      invalid_id: 'x',
      invalid_username: 'al\ufffdce',
      invalid_groupname: 'g'.repeat(64),
    });
  });

  test('has room for what a client says of itself, and not for all it could say', () => {
    const { metadata } = disconnect({
      USER_AGENT: 'x'.repeat(10_000),
      STATS_DURATION: '9'.repeat(10_000),
    }).session;
    for (const value of Object.values(metadata)) assert.ok(value.length <= 257, `${value.length} characters`);
    assert.deepEqual(Object.keys(metadata), ['user_agent', 'invalid_stats_duration']);
  });
});
