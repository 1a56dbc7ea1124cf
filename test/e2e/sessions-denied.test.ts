import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';
import { allDelivered, occtlConfig, ocservIds, REASON, report, reportsOf, thrownOut } from './reports.ts';

const OMEGA = 'Ωmega';
const PSI = 'Ψmega';
const names = ['alice', 'bob', OMEGA, PSI];
const users = Object.fromEntries(names.map((user) => [user, {}]));

describe('a connect that the portal denies, and wants the user out', () => {
  const real = withRealHook({ users: names, policy: { users } });
  /** So that the portal is asked at each connect. */
  const config = () => `
    ${occtlConfig(real)}
    [resilience.cache]
    ttl = "1ms"
    deny_ttl = "1ms"`;

  for (const [user, other, words, reason] of [
    ['alice', 'bob', 'certificate revoked', REASON.CERTIFICATE_REVOKED],
    [OMEGA, PSI, 'a policy is violated', REASON.POLICY_VIOLATION],
    ['bob', 'alice', 'gone from the company', REASON.ADMIN_FORCED],
  ] as const) {
    test(`ends ${user}'s other sessions, and nobody else's: "${words}"`, limits, async () => {
      real.configure(config());
      const first = await real.connect(user);
      assertConnected(first);
      const second = await real.connect(user);
      assertConnected(second);
      assertConnected(await real.connect(other));
      await real.portal.setPolicy({
        users: { ...users, [user]: { allowed: false, reason: words, should_disconnect: true } },
      });
      assertRefused(await real.connect(user));
      await thrownOut(first, second);

      const rows = real.sessions();
      assert.deepEqual(
        rows.map(({ username }) => username),
        [user, user, other],
      );
      const [one, two, others] = rows.map(({ session_id }) => session_id) as [string, string, string];
      for (const session of [one, two]) {
        const ended = await report(real, 'ReportDisconnect', session);
        assert.equal(ended.request.username, user);
        assert.equal(ended.request.reason, reason);
      }
      await allDelivered(real);
      for (const session of [one, two]) {
        assert.deepEqual(
          reportsOf(real, session).map(({ rpc }) => rpc),
          ['ReportConnect', 'ReportDisconnect'],
        );
      }
      assert.deepEqual(
        reportsOf(real, others).map(({ rpc }) => rpc),
        ['ReportConnect'],
      );
      assert.deepEqual(await ocservIds(real), [rows[2]?.ocserv_id]);
      assert.deepEqual(real.query('SELECT * FROM disconnect_order'), []);
      // Of the connect that was denied nothing is told, for it never was a session.
      const denied = (await real.log.waitFor({ msg: 'connect denied' }))['session_id'];
      assert.deepEqual(reportsOf(real, String(denied)), []);
    });
  }
});
