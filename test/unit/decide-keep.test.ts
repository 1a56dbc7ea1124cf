import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { PortalResult } from '../../src/policy/types.ts';
import { forgetUser, listDecisions } from '../../src/state/decisions.ts';
import { letPass, openState, scratch, settings } from './fixture.ts';
import { ALLOW, AWAY, answer, DENY, failure, PROVOKED, Server } from './portal.ts';

async function server(t: TestContext) {
  const state = await openState(join(scratch(t), 'state.db'));
  return {
    it: new Server(state, settings()),
    state,
    pass: (milliseconds: number) => letPass(state, milliseconds),
    kept: () =>
      state.step((tx) =>
        listDecisions(tx, null, 100).map(({ username, clientIp, allowed }) => [username, clientIp, allowed]),
      ),
  };
}

/** The portal answers `late` only after everything in `meanwhile` has happened. */
const after = (meanwhile: () => Promise<unknown>, late: PortalResult) => async () => {
  await meanwhile();
  return late;
};

describe('what is kept of the portal', () => {
  test('are answers, and never a failure', async (t) => {
    const { it, kept } = await server(t);
    for (const nothing of [AWAY, PROVOKED, failure('no')]) await it.connect(nothing);
    assert.deepEqual(await kept(), []);
  });

  test('is no denial of a request that it could not accept: that is asked again', async (t) => {
    const { it, kept } = await server(t);
    const refused = await it.connect(answer(false, { storable: false, reason: 'no such device' }));
    assert.deepEqual([refused.allowed, refused.source, refused.reason], [false, 'portal', 'no such device']);
    assert.deepEqual(await kept(), []);
    assert.equal((await it.connect(ALLOW)).source, 'portal');
  });

  test('is fresh for as long as the portal says, if that is shorter', async (t) => {
    const { it, pass } = await server(t);
    await it.connect(answer(true, { cacheTtl: 60_000 }));
    await pass(30_000);
    assert.equal((await it.connect(AWAY)).source, 'cache');
    await pass(30_000);
    const later = await it.connect(AWAY);
    assert.deepEqual([later.source, later.allowed], ['stale', true]);
  });

  test('is nothing when the portal says so, and an older allowance goes', async (t) => {
    const { it, kept } = await server(t);
    await it.connect(ALLOW);
    const { allowed } = await it.connect(answer(true, { cacheTtl: 'not stored' }), {}, { bypassCache: true });
    assert.equal(allowed, true);
    assert.deepEqual(await kept(), []);
    assert.equal((await it.connect(AWAY)).source, 'fail-close');
  });

  test('is nothing when the portal says so, and the allowance goes for a denial too', async (t) => {
    const { it, kept } = await server(t);
    await it.connect(ALLOW);
    await it.connect(answer(false, { cacheTtl: 'not stored' }), {}, { bypassCache: true });
    assert.deepEqual(await kept(), []);
  });

  test('is nothing when the portal says so, and an older allowance still on its way is not kept after it', async (t) => {
    const { it, kept } = await server(t);
    const meanwhile = () => it.connect(answer(false, { cacheTtl: 'not stored' }));
    await it.connect(after(meanwhile, ALLOW));
    assert.deepEqual(await kept(), []);
  });

  test('is a denial still on its way, though an answer has come meanwhile that is not to be stored', async (t) => {
    const { it, kept } = await server(t);
    const meanwhile = () => it.connect(answer(true, { cacheTtl: 'not stored' }));
    await it.connect(after(meanwhile, DENY), { clientIp: '::1' });
    await it.connect(after(meanwhile, DENY));
    assert.deepEqual(await kept(), [
      ['alice', '192.0.2.1', false],
      ['alice', '::1', false],
    ]);
  });

  test('is when it answered and when it could not be asked, for people', async (t) => {
    const { it, state } = await server(t);
    const contact = () =>
      state.step((tx) =>
        tx.row<{ ok: number | null; error: string | null }>(
          'SELECT last_success AS ok, last_error AS error FROM portal_contact',
        ),
      );
    await it.connect(failure('no', 'LOCAL'));
    assert.deepEqual(await contact(), { ok: null, error: null });
    await it.connect(AWAY);
    assert.deepEqual(await contact(), { ok: null, error: 'UNAVAILABLE: connection refused' });
    await it.connect(answer(false, { storable: false }));
    assert.notEqual((await contact())?.ok, null);
  });
});

describe('should_disconnect', () => {
  const GONE = answer(false, { shouldDisconnect: true, reason: 'certificate revoked' });

  test('takes every allowance of the user, all vhosts, groups and addresses, and keeps the denial', async (t) => {
    const { it, kept } = await server(t);
    for (const key of [{ vhost: 'b' }, { groupname: '' }, { clientIp: '::1' }, { username: 'bob' }]) {
      await it.connect(ALLOW, key);
    }
    await it.connect(GONE, { clientIp: '::2' });
    assert.deepEqual(await kept(), [
      ['alice', '::2', false],
      ['bob', '192.0.2.1', true],
    ]);
    const again = await it.connect(ALLOW, { clientIp: '::2' });
    assert.deepEqual([again.allowed, again.source], [false, 'cache']);
  });

  test('voids an allowance that was asked for before it', async (t) => {
    const { it, kept } = await server(t);
    const meanwhile = () => it.connect(GONE, { clientIp: '::2' });
    assert.equal((await it.connect(after(meanwhile, ALLOW))).allowed, true);
    assert.deepEqual(await kept(), [['alice', '::2', false]]);
  });

  test('voids no denial that was asked for before it: an outage must not let in whom the portal refused', async (t) => {
    const { it, kept } = await server(t);
    for (const [clientIp, late] of [
      ['::1', GONE],
      ['::2', DENY],
    ] as const) {
      await it.connect(
        after(() => it.connect(GONE), late),
        { clientIp },
      );
    }
    assert.deepEqual((await kept()).map(([, address]) => address).sort(), ['192.0.2.1', '::1', '::2']);
  });

  test('that is not to be stored takes the allowances all the same', async (t) => {
    const { it, kept } = await server(t);
    await it.connect(ALLOW);
    await it.connect(ALLOW, { clientIp: '::1' });
    const gone = answer(false, { shouldDisconnect: true, cacheTtl: 'not stored' });
    await it.connect(gone, { clientIp: '::2' });
    assert.deepEqual(await kept(), []);
  });
});

describe('of answers on their way at the same time', () => {
  const other = { bypassCache: true };

  test('the denial is kept, whether it comes first or last', async (t) => {
    for (const [early, late] of [
      [DENY, ALLOW],
      [ALLOW, DENY],
    ] as const) {
      const { it, kept } = await server(t);
      await it.connect(after(() => it.connect(early), late));
      assert.deepEqual(await kept(), [['alice', '192.0.2.1', false]]);
    }
  });

  test('each one is what its own user gets, whatever is kept', async (t) => {
    const { it } = await server(t);
    const { allowed, source } = await it.connect(after(() => it.connect(DENY), ALLOW));
    assert.deepEqual([allowed, source], [true, 'portal']);
  });

  test('one that was asked for later and came first is not overwritten by the older', async (t) => {
    const { it, state } = await server(t);
    const older = answer(true, { routes: ['10.1.0.0/16'] });
    const newer = answer(true, { routes: ['10.2.0.0/16'] });
    await it.connect(after(() => it.connect(newer), older));
    const [entry] = await state.step((tx) => listDecisions(tx, 'alice', 1));
    assert.deepEqual(entry?.routes, ['10.2.0.0/16']);
  });

  test('one that was asked for after a denial had come replaces it', async (t) => {
    const { it, kept } = await server(t);
    await it.connect(DENY);
    await it.connect(ALLOW, {}, other);
    assert.deepEqual(await kept(), [['alice', '192.0.2.1', true]]);
  });

  test('none is kept that was asked for before the user was invalidated', async (t) => {
    const { it, state, kept } = await server(t);
    await it.connect(after(() => state.step((tx) => forgetUser(tx, 'alice')), ALLOW));
    assert.deepEqual(await kept(), []);
  });
});
