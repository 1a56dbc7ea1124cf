import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isExact, isName, readUsers } from '../../src/ocserv/occtl.ts';
import { parseOcctl } from '../../src/ocserv/occtl-json.ts';
import { SHOW_SESSIONS_ALL, SHOW_USERS } from './occtl-samples.ts';

const one = (fields: Record<string, unknown>) => readUsers([{ ID: 1, ...fields }])[0];

describe("occtl's list of users", () => {
  test('is read as a real one prints it', () => {
    assert.deepEqual(readUsers(parseOcctl(SHOW_USERS)), [
      {
        id: '25449',
        username: 'alice',
        groupname: 'grp1',
        vhost: 'default',
        state: 'connected',
        device: 'vpnt0',
        remoteIp: '10.99.0.2',
        vpnIp: '10.200.63.50',
        connectedAt: new Date(2026, 10, 23, 10, 4).getTime(),
        received: null,
        sent: null,
      },
    ]);
  });

  test('may be empty', () => {
    assert.deepEqual(readUsers(parseOcctl('[\n]\n')), []);
  });

  test('has traffic, exactly, where occtl runs in the namespace of the tunnel', () => {
    const { received, sent } = one({ RX: '18446744073709551615', TX: 7 }) ?? {};
    assert.deepEqual([received, sent], [18446744073709551615n, 7n]);
  });

  test('has traffic that is unknown where occtl prints what is no number', () => {
    for (const odd of ['', '-1', '1.5 kB', '1e3', '0x10', '123456789012345678901', null, -1, 1.5, true, {}]) {
      assert.equal(one({ RX: odd })?.received, null, JSON.stringify(odd));
    }
  });

  test('has texts that are empty where they are missing or no texts', () => {
    assert.deepEqual(one({ Username: 7, Device: null, State: ['x'] }), {
      id: '1',
      username: '',
      groupname: '',
      vhost: 'default',
      state: '',
      device: '',
      remoteIp: '',
      vpnIp: '',
      connectedAt: null,
      received: null,
      sent: null,
    });
  });

  test('has no group where occtl says so, an IPv6 address where there is no other, and no scopes', () => {
    assert.partialDeepStrictEqual(
      one({ Groupname: '(none)', vhost: 'branch', 'Remote IP': 'fe80::1%eth0', IPv6: 'fd00::2' }),
      { groupname: '', vhost: 'branch', remoteIp: 'fe80::1', vpnIp: 'fd00::2' },
    );
  });

  test('has the minute of a connect, in local time, or none that it could not read', () => {
    assert.equal(
      one({ 'Connected at': '2026-01-02 03:04' })?.connectedAt,
      new Date(2026, 0, 2, 3, 4).getTime(),
    );
    for (const odd of ['', '2026-13-02 03:04', '2026-01-02', 'yesterday', '1s']) {
      assert.equal(one({ 'Connected at': odd })?.connectedAt, null, odd);
    }
  });

  test('may name the ID as text', () => {
    assert.equal(readUsers([{ ID: '14304' }])[0]?.id, '14304');
  });

  test('is no list where an entry has no ID: one that is only half understood must end no session', () => {
    for (const id of [undefined, null, '', 'x', '1 ', '-1', -1, 1.5, 1e21, {}, '1; reboot', '1'.repeat(21)]) {
      assert.throws(() => readUsers([{ ID: 5 }, { ID: id }]), TypeError, String(id));
    }
    assert.throws(() => readUsers(parseOcctl(SHOW_SESSIONS_ALL)), TypeError);
  });

  test('is no list where it is anything else', () => {
    for (const odd of [null, {}, 'users', 0, { ID: 1 }, [null], [1], ['x'], [[{ ID: 1 }]]]) {
      assert.throws(() => readUsers(odd), TypeError, JSON.stringify(odd));
    }
  });
});

describe('a name as occtl prints it', () => {
  test('is the name itself, where it is ASCII', () => {
    assert.equal(isName('alice', 'alice'), true);
    for (const other of ['Alice', 'alic', 'alice ', '']) assert.equal(isName(other, 'alice'), false, other);
    assert.equal(isExact('alice'), true);
  });

  test('has U+00FF for each byte beyond, or is right where occtl is', () => {
    assert.equal(isName('\xff\xffric', 'Éric'), true, 'two bytes in UTF-8');
    assert.equal(isName('\xff\xff\xff\xff', '💥'), true);
    assert.equal(isName('Éric', 'Éric'), true);
    assert.equal(isName('\xffric', 'Éric'), false);
    assert.equal(isName('\xff\xffRic', 'Éric'), false);
  });

  test('can be that of several users, and then tells which one by itself to nobody', () => {
    assert.ok(isName('\xff\xffric', 'Éric') && isName('\xff\xffric', 'Öric'));
    assert.equal(isExact('\xff\xffric'), false);
    assert.equal(isExact('\ufffdric'), false, 'bytes that are no UTF-8');
  });
});
