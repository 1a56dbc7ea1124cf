import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { asFromCertificate, HOSTILE_NAMES } from '../../scripts/vpn/hostile-names.ts';
import { limits, type RealHook, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';

const policy = { default: { allowed: true } };
const NO_UTF8 = Buffer.from([0x62, 0xff, 0xfe, 0x64]);

describe('names from a passwords file, as a real ocserv hands them to ocagent-hook', () => {
  const real = withRealHook({ policy, users: [...HOSTILE_NAMES, NO_UTF8] });

  test('arrive at the portal byte by byte, whatever they hold, and leave one line each', limits, async () => {
    for (const name of HOSTILE_NAMES) assertConnected(await real.connect(name));
    assertArrived(real, HOSTILE_NAMES);
    assert.equal(existsSync('/tmp/ocagent-was-here'), false);
  });

  test('that are not UTF-8 are denied, and the portal never hears of them', limits, async () => {
    assertRefused(await real.connect(NO_UTF8));
    const line = await real.decision('b\ufffd\ufffdd');
    assert.partialDeepStrictEqual(line, { msg: 'connect denied', source: 'invalid' });
    assert.match(String(line['reason']), /USERNAME is not valid UTF-8/);
    // Reports of the sessions of the test before may still come.
    assert.deepEqual(real.portal.calls({ rpc: 'CheckPolicy' }), []);
    assert.deepEqual(real.portal.calls({ username: String(line['username']) }), []);
    assert.deepEqual(real.sessions(), []);
    assert.deepEqual(real.query('SELECT * FROM event'), []);
  });
});

describe('names from certificates, as a real ocserv hands them to ocagent-hook', () => {
  const real = withRealHook({ policy });

  test('the CN arrives at the portal as the user and the OU as the group', limits, async () => {
    const credential = await real.vpn.credential({ commonName: 'alice', organizationalUnit: 'staff' });
    const client = await real.connect(credential);
    assertConnected(client);
    const line = await real.decision('alice');
    assert.equal(line['groupname'], 'staff');
    const call = await real.portal.call({ rpc: 'CheckPolicy', username: 'alice' });
    assert.partialDeepStrictEqual(call['request'], {
      username: 'alice',
      groupname: 'staff',
      sessionId: line['session_id'],
      vpnIp: client.vpnIp,
    });
  });

  test('arrive as GnuTLS escapes them, whatever they hold, and leave one line each', limits, async () => {
    for (const commonName of HOSTILE_NAMES) {
      const credential = await real.vpn.credential({ commonName, organizationalUnit: 'staff' });
      assertConnected(await real.connect(credential));
    }
    assertArrived(real, HOSTILE_NAMES.map(asFromCertificate));
    assert.equal(existsSync('/tmp/ocagent-was-here'), false);
  });
});

/** In the portal's calls, the log and the records, in this order and nothing besides. */
function assertArrived({ portal, log, sessions }: RealHook, names: readonly string[]): void {
  const of = (entries: readonly { readonly username?: unknown }[]) => entries.map(({ username }) => username);
  assert.deepEqual(of(portal.calls({ rpc: 'CheckPolicy' })), names);
  assert.deepEqual(of(sessions()), names);
  const { lines } = log;
  // Besides them there are the lines of the drain, which tells the portal of them later.
  assert.deepEqual(of(lines.filter((line) => 'allowed' in line)), names);
  // What a terminal or a log viewer acts on stands there as an escape.
  assert.equal(log.text.split('\n').length, lines.length + 1);
  assert.doesNotMatch(log.text.replaceAll('\n', ''), /\p{Cc}/u);
}
