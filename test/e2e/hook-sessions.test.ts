import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sendThrough, tunnelScript } from '../../scripts/vpn/traffic.ts';
import { limits, withRealHook } from './real-hook.ts';
import { assertConnected } from './recorded-vpn.ts';

/** Whose disconnects wait until the test lets them go on. */
const HELD = 'carol';

describe('sessions that a real ocserv tells ocagent-hook of', () => {
  const users = { alice: {}, bob: {}, [HELD]: {} };
  const real = withRealHook({
    users: Object.keys(users),
    policy: { users },
    dtls: true,
    body: `[ "$REASON $USERNAME" != "disconnect ${HELD}" ] || wait_at_gate\nexec "$hook"`,
  });

  test('a disconnect records exactly the counts that ocserv named', limits, async () => {
    const script = await tunnelScript(real.vpn.folder);
    const client = await real.connect('alice', { script });
    assertConnected(client);
    await sendThrough(real.vpn.network, client, { packets: 100 });
    await client.disconnect();

    const line = await real.log.waitFor({ msg: 'disconnect recorded' });
    const { environment } = await real.recording.call({ kind: 'disconnect', user: 'alice' });
    const named = {
      bytes_in: environment['STATS_BYTES_IN'],
      bytes_out: environment['STATS_BYTES_OUT'],
      duration_seconds: environment['STATS_DURATION'],
    };
    assert.ok(Number(named.bytes_in) >= 102_800, `${named.bytes_in} bytes`);
    assert.match(String(named.duration_seconds), /^\d+$/);
    const began = await real.decision('alice');
    assert.partialDeepStrictEqual(line, { ...named, session_id: began['session_id'], known: true });
    const [session, ...others] = real.sessions();
    assert.deepEqual(others, []);
    assert.partialDeepStrictEqual(session, { ...named, session_id: began['session_id'] });
    assert.notEqual(session?.ended_wall, null);

    const own = await real.vpn.ocserv.log.waitFor(/main\[alice\].*user disconnected .*rx: (\d+), tx: (\d+)/);
    assert.deepEqual(own.match.slice(1), [session?.bytes_in, session?.bytes_out]);
  });

  for (const [user, order] of [
    ['bob', 'in the order that ocserv calls'],
    [HELD, 'also when the new one is recorded before the old one ends'],
  ] as const) {
    const name = `a reconnect closes the old session and begins a new one, each with its own bytes: ${order}`;
    test(name, limits, async () => {
      const client = await real.connect(user, { script: await tunnelScript(real.vpn.folder) });
      assertConnected(client);
      const first = await real.decision(user);
      await sendThrough(real.vpn.network, client, { packets: 100 });
      const from = real.log.count;
      assert.equal((await client.reconnect()).connected, true);

      const second = await real.log.waitFor({ msg: 'connect allowed', username: user }, { from });
      if (user === HELD) await real.recording.openGate();
      const ended = await real.log.waitFor({ msg: 'disconnect recorded', username: user }, { from });
      assert.equal(ended['session_id'], first['session_id']);
      assert.equal(ended['known'], true);
      assert.notEqual(second['session_id'], first['session_id']);
      assert.equal(second['vpn_ip'], first['vpn_ip']);
      const [old, live, ...others] = real.sessions();
      assert.deepEqual(others, []);
      assert.partialDeepStrictEqual(old, { session_id: first['session_id'], bytes_in: ended['bytes_in'] });
      assert.ok(Number(old?.bytes_in) >= 102_800, `${old?.bytes_in} bytes`);
      const begun = { session_id: second['session_id'], ended_wall: null, bytes_in: null };
      assert.partialDeepStrictEqual(live, begun);

      await client.disconnect();
      if (user === HELD) await real.recording.openGate();
      await real.log.waitFor({ msg: 'disconnect recorded', session_id: second['session_id'] });
      const [unchanged, closed, ...further] = real.sessions();
      assert.deepEqual(further, []);
      assert.deepEqual(unchanged, old);
      const otherThan = old?.ocserv_id ?? '';
      const { environment } = await real.recording.call({ kind: 'disconnect', user, otherThan });
      assert.partialDeepStrictEqual(closed, {
        session_id: second['session_id'],
        bytes_in: environment['STATS_BYTES_IN'],
        bytes_out: environment['STATS_BYTES_OUT'],
      });
      assert.ok(Number(closed?.bytes_in) < 10_000, `${closed?.bytes_in} bytes`);
    });
  }

  test('a host-update, once DTLS is up, is noted on the session', limits, async () => {
    assertConnected(await real.connect('alice', { dtls: true }));
    const began = await real.decision('alice');
    const update = await real.log.waitFor({ msg: 'host-update recorded' });
    assert.equal(update['session_id'], began['session_id']);
    const [session, ...others] = real.sessions();
    assert.deepEqual(others, []);
    assert.equal(session?.ended_wall, null);
    assert.ok(Number(session?.updated_wall) > 0);
  });
});
