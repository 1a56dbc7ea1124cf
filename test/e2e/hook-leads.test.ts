import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { isAlive } from '../../src/state/process.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected, assertRefused } from './recorded-vpn.ts';

describe('two connects at once under a real ocserv', () => {
  const real = withRealHook({
    users: ['alice', 'bob'],
    policy: { users: { alice: { delay: '1s' }, bob: { delay: '4s', allowed: false, reason: 'on leave' } } },
  });

  test(
    'the first is up as soon as it is answered itself, while its process still asks for the second',
    limits,
    async () => {
      real.configure('timeout = "20s"\n[hook]\ndeadline = "30s"\n[events]\nenabled = false');
      const first = await real.dial('alice');
      await real.portal.holds('alice');
      const second = await real.dial('bob');
      await real.portal.holds('bob');
      assertConnected(await first.outcome());
      assert.deepEqual(real.log.all({ username: 'bob' }), [], 'he still waits');

      const [leader] = real.query<{ pid: number; asks: number }>(
        'SELECT pid, (SELECT count(*) FROM question WHERE taken > 0) AS asks FROM leader',
      );
      assert.ok(leader !== undefined && isAlive(leader.pid));
      assert.equal(leader.asks, 1, 'by the process of the first');
      assert.equal(readFileSync(`/proc/${leader.pid}/comm`, 'utf8'), 'ocagent=0\n');

      assertRefused(await second.outcome());
      assert.partialDeepStrictEqual(await real.decision('bob'), { source: 'portal', reason: 'on leave' });
      assert.partialDeepStrictEqual(await real.decision('alice'), { source: 'portal', allowed: true });
      for (let look = 0; isAlive(leader.pid); look++) {
        assert.ok(look < 1_000, 'it goes once nobody asks any more');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.deepEqual(real.query('SELECT pid FROM leader'), [{ pid: 0 }]);
      assert.deepEqual(real.query('SELECT * FROM question'), []);
    },
  );
});
