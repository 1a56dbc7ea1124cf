import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits, type RealHook, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';

const options = { users: ['alice', 'bob'], policy: { users: { alice: { delay: '30s' }, bob: {} } } };

/** So that only the SIGTERM can end the wait. */
const patient = `
  timeout = "30s"
  [hook]
  deadline = "40s"`;

/** alice's hook waits for the portal when an administrator cuts her session. */
async function cutWhileWaiting({ portal, vpn, dial }: RealHook): Promise<void> {
  const waiting = await dial('alice');
  await portal.holds('alice');
  const { log, occtl } = vpn.ocserv;
  const from = log.count;
  assert.equal((await occtl('disconnect', 'user', 'alice')).status, 0);
  // The worker takes its time to end; then ocserv sends the hook SIGTERM, and waits for it, and with it everybody.
  await log.waitFor(/main\[alice\].* worker terminated/, 15_000, from);
  const sent = performance.now();
  assert.equal((await occtl('show', 'status')).status, 0);
  const held = performance.now() - sent;
  assert.ok(held < 2_000, `ocserv did not answer for ${held} ms`);
  assertRefused(await waiting.outcome());
}

describe('ocagent-hook under a real ocserv that ends it while it waits for the portal', () => {
  const real = withRealHook(options);

  test(
    'is gone at once: nothing began, so nothing ends, and others are served meanwhile',
    limits,
    async () => {
      real.configure(patient);
      const waiting = cutWhileWaiting(real);
      await real.portal.holds('alice');
      assertConnected(await real.connect('bob'));
      await waiting;

      const call = await real.portal.call({ rpc: 'CheckPolicy', username: 'alice' });
      assert.partialDeepStrictEqual(call['answer'], { status: 'CANCELLED' });
      await real.settle();
      assert.deepEqual(real.log.all({ username: 'alice' }), []);
      assert.deepEqual(
        real.sessions().map(({ username, ended_wall }) => [username, ended_wall !== null]),
        [['bob', true]],
      );
      assertConnected(await real.connect('bob'));
    },
  );
});

describe('a script in front of ocagent-hook that hands on the signal and notes the status', () => {
  // A first wait that the signal cut short tells of the signal; the second one waits for the hook itself.
  const body = `
[ "$REASON" = connect ] || exec "$hook"
trap 'kill -TERM "$!"' TERM
"$hook" &
wait "$!"
wait "$!"
status=$?
record "ended with $status"
exit "$status"`;
  const real = withRealHook({ ...options, body });

  test('sees it end with 5, and ocserv calls no disconnect-script', limits, async () => {
    real.configure(patient);
    await cutWhileWaiting(real);
    await real.recording.call({ kind: 'ended with 5', user: 'alice' });
    await real.settle();
    assert.deepEqual(
      (await real.recording.calls()).map(({ kind }) => kind),
      ['connect', 'ended with 5'],
    );
    assert.deepEqual(real.sessions(), []);
  });
});
