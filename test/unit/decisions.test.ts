import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type DecisionKey,
  decisionCount,
  dropAllowance,
  ENTRIES_PER_USER,
  findDecision,
  forgetAll,
  forgetUser,
  keepDecision,
  listDecisions,
  type NewDecision,
  pruneRevocations,
  revoke,
  touchDecision,
} from '../../src/state/decisions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';

const KEY: DecisionKey = { vhost: 'default', username: 'alice', groupname: 'staff', clientIp: '192.0.2.1' };
const PLENTY = 10_000;

function answer(allowed: boolean, asked: number | null, rest: Partial<NewDecision> = {}): NewDecision {
  return { allowed, reason: '', routes: [], dnsServers: [], cacheTtl: null, asked, ...rest };
}

/** Asked and answered in one go. */
function keep(tx: Transaction, key: Partial<DecisionKey> = {}, allowed = true, maxSize = PLENTY): boolean {
  return keepDecision(tx, { ...KEY, ...key }, answer(allowed, nextInSequence(tx)), maxSize);
}

describe('a decision that is kept', () => {
  test('is found again as the portal gave it, with when it came', async (t) => {
    const on = await ledger(t);
    const given = {
      reason: 'no "reason" at all\n',
      routes: ['10.0.0.0/8', 'fd00::/8'],
      dnsServers: ['10.0.0.53'],
      cacheTtl: 1_500.5,
    };
    on(at(7), (tx) => keepDecision(tx, KEY, answer(false, nextInSequence(tx), given), PLENTY));
    assert.deepEqual(
      on(at(99), (tx) => findDecision(tx, KEY)),
      { ...KEY, ...given, allowed: false, answeredAt: at(7) },
    );
  });

  test('is found under its own key only: vhost, username, groupname and address', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => keep(tx));
    for (const part of ['vhost', 'username', 'groupname', 'clientIp'] as const) {
      assert.equal(
        on(at(0), (tx) => findDecision(tx, { ...KEY, [part]: 'other' })),
        undefined,
        part,
      );
    }
  });

  test('is replaced by the next answer under its key: a denial at once takes the place of an allowance', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => keep(tx, {}, true));
    on(at(5), (tx) => keep(tx, {}, false));
    const found = on(at(5), (tx) => findDecision(tx, KEY));
    assert.deepEqual([found?.allowed, found?.answeredAt], [false, at(5)]);
    assert.equal(on(at(5), decisionCount), 1);
  });
});

describe('a question that nobody knows the age of', () => {
  test('brings no allowance into the cache, but a denial', async (t) => {
    const on = await ledger(t);
    assert.equal(
      on(at(0), (tx) => keepDecision(tx, KEY, answer(true, null), PLENTY)),
      false,
    );
    assert.equal(
      on(at(0), (tx) => keepDecision(tx, KEY, answer(false, null), PLENTY)),
      true,
    );
    assert.equal(on(at(0), (tx) => findDecision(tx, KEY))?.allowed, false);
  });

  test('replaces an allowance by its denial', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => keep(tx));
    on(at(1), (tx) => keepDecision(tx, KEY, answer(false, null), PLENTY));
    assert.equal(on(at(1), (tx) => findDecision(tx, KEY))?.allowed, false);
  });
});

describe('the bound of one user', () => {
  test('lets his own oldest answer go past 64 entries of one vhost, however recently it was used', async (t) => {
    const on = await ledger(t);
    const address = (n: number) => ({ clientIp: `192.0.2.${n}` });
    for (let n = 0; n < ENTRIES_PER_USER; n++) on(at(n), (tx) => keep(tx, address(n)));
    on(at(99), (tx) => touchDecision(tx, { ...KEY, ...address(0) }));
    on(at(100), (tx) => keep(tx, address(200)));
    assert.equal(ENTRIES_PER_USER, 64);
    assert.equal(on(at(100), decisionCount), 64);
    const found = (n: number) => on(at(100), (tx) => findDecision(tx, { ...KEY, ...address(n) }));
    assert.equal(found(0), undefined);
    for (const n of [1, 63, 200]) assert.ok(found(n), `192.0.2.${n}`);
  });

  test('keeps a roaming user from flushing anybody else, and his own entries for another vhost', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      keep(tx, { username: 'bob' });
      keep(tx, { vhost: 'other' });
      for (let n = 0; n < 3 * ENTRIES_PER_USER; n++) keep(tx, { clientIp: `10.0.0.${n}` }, true, 66);
    });
    assert.ok(on(at(1), (tx) => findDecision(tx, { ...KEY, username: 'bob' })));
    assert.ok(on(at(1), (tx) => findDecision(tx, { ...KEY, vhost: 'other' })));
    assert.equal(on(at(1), decisionCount), 66);
  });
});

describe('max_size', () => {
  test('lets the least recently used go first', async (t) => {
    const on = await ledger(t);
    for (const username of ['a', 'b', 'c']) on(at(0), (tx) => keep(tx, { username }, true, 3));
    on(at(1), (tx) => touchDecision(tx, { ...KEY, username: 'a' }));
    on(at(2), (tx) => keep(tx, { username: 'd' }, true, 3));
    const users = on(at(2), (tx) => listDecisions(tx, null, 10)).map(({ username }) => username);
    assert.deepEqual(users, ['d', 'a', 'c']);
  });

  test('that was lowered is reached in bounded steps, so that no hook pays for all of it', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      for (let n = 0; n < 300; n++) keep(tx, { username: `user-${n}` });
    });
    const sizes = ['x', 'y', 'z', 'last'].map((username) =>
      on(at(1), (tx) => {
        keep(tx, { username }, true, 10);
        return decisionCount(tx);
      }),
    );
    assert.deepEqual(sizes, [201, 102, 10, 10]);
    assert.ok(on(at(1), (tx) => findDecision(tx, { ...KEY, username: 'last' })));
  });
});

describe('taking back', () => {
  test('revoking a user removes every allowance of his, over vhosts, groups and addresses, and no denial', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      for (const key of [{}, { vhost: 'other' }, { groupname: '' }, { clientIp: '::1' }]) keep(tx, key);
      keep(tx, { clientIp: '192.0.2.9' }, false);
      keep(tx, { username: 'bob' });
      assert.equal(revoke(tx, 'alice'), 4);
    });
    const left = on(at(0), (tx) => listDecisions(tx, null, 10)).map(({ username, allowed }) => [
      username,
      allowed,
    ]);
    assert.deepEqual(left, [
      ['bob', true],
      ['alice', false],
    ]);
  });

  test('voids the answers that were on their way, under every key, for him alone', async (t) => {
    for (const takeBack of [revoke, forgetUser]) {
      const on = await ledger(t);
      const asked = on(at(0), nextInSequence);
      on(at(1), (tx) => takeBack(tx, 'alice'));
      on(at(2), (tx) => {
        assert.equal(keepDecision(tx, { ...KEY, vhost: 'other' }, answer(true, asked), PLENTY), false);
        assert.equal(keepDecision(tx, { ...KEY, username: 'bob' }, answer(true, asked), PLENTY), true);
        assert.equal(keep(tx), true);
      });
    }
  });

  test('forgetting everybody voids what is on its way for everybody', async (t) => {
    const on = await ledger(t);
    const asked = on(at(0), (tx) => {
      keep(tx);
      keep(tx, { username: 'bob' }, false);
      return nextInSequence(tx);
    });
    assert.equal(on(at(1), forgetAll), 2);
    on(at(2), (tx) => {
      assert.equal(decisionCount(tx), 0);
      assert.equal(keepDecision(tx, KEY, answer(true, asked), PLENTY), false);
      assert.equal(keep(tx), true);
    });
  });

  test('an allowance dropped for one key leaves a denial and every other key alone', async (t) => {
    const on = await ledger(t);
    on(at(0), (tx) => {
      keep(tx);
      keep(tx, { clientIp: '::1' });
      keep(tx, { clientIp: '::2' }, false);
      dropAllowance(tx, KEY);
      dropAllowance(tx, { ...KEY, clientIp: '::2' });
      const left = listDecisions(tx, 'alice', 10).map(({ clientIp }) => clientIp);
      assert.deepEqual(left, ['::2', '::1']);
    });
  });

  test('is forgotten once it is older than any call can be, and not before', async (t) => {
    const on = await ledger(t);
    const asked = on(at(0), nextInSequence);
    on(at(0), (tx) => revoke(tx, 'alice'));
    on(at(999), (tx) => pruneRevocations(tx, 1_000));
    const late = (tx: Transaction) => keepDecision(tx, KEY, answer(true, asked), PLENTY);
    assert.equal(on(at(999), late), false);
    on(at(1_000), (tx) => pruneRevocations(tx, 1_000));
    assert.equal(on(at(1_000), late), true);
  });
});

test('where nothing can be written, nothing is, and what is there is still found', async (t) => {
  const on = await ledger(t);
  on(at(0), (tx) => keep(tx));
  on(
    at(1),
    (tx) => {
      touchDecision(tx, KEY);
      assert.equal(nextInSequence(tx), null);
      assert.equal(revoke(tx, 'alice'), 0);
      assert.equal(findDecision(tx, KEY)?.allowed, true);
    },
    false,
  );
  assert.equal(on(at(2), decisionCount), 1);
});
