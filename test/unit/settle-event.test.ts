import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SessionEvent } from '../../src/accounting/event.ts';
import { settleEvent } from '../../src/events/settle.ts';
import type { Failure } from '../../src/policy/types.ts';
import type { Reported } from '../../src/portal/session-calls.ts';
import { total } from '../../src/state/counters.ts';
import { findDecision, keepDecision } from '../../src/state/decisions.ts';
import { dueOrders, orderCount } from '../../src/state/orders.ts';
import { findEvent } from '../../src/state/outbox-list.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import { endSession } from '../../src/state/session-end.ts';
import { listSessions } from '../../src/state/session-records.ts';
import { at, ledger, settings } from './fixture.ts';
import { connectOf, endOf, find, idsIn, put, updateOf } from './session-events.ts';
import { begin, END, SESSION } from './session-rows.ts';

const CONFIG = settings({ events: { retry_initial: '1s', retry_max: '5m' } });
const AWAY: Failure = {
  code: 'UNAVAILABLE',
  detail: 'no',
  cure: '',
  counts: 'unreached',
  misconfigured: false,
};
const { sessionId } = SESSION;

/** A live session and one event of it in the outbox, and what becomes of that by an answer. */
async function outbox(t: Parameters<typeof ledger>[0], event: SessionEvent) {
  const on = await ledger(t);
  on(at(0), (tx) => {
    begin(tx);
    put(tx, { it: event });
  });
  return {
    on,
    settle: (reported: Reported, { random = 0.5, now = 0 } = {}) =>
      on(at(now), (tx) => settleEvent(tx, find(tx, 'it'), reported, CONFIG, random)),
    it: () => on(at(0), (tx) => findEvent(tx, 'it')),
  };
}

describe('an event that the portal took', () => {
  test('goes, and is counted as delivered', async (t) => {
    for (const event of [endOf(sessionId), updateOf(sessionId)]) {
      const { on, settle, it } = await outbox(t, event);
      settle({ kind: 'taken', updatedRoutes: ['10.9.0.0/16'], mustEnd: null });
      assert.equal(it(), undefined);
      assert.equal(
        on(at(0), (tx) => total(tx, 'ocserv.events.delivered_total')),
        1,
      );
      assert.equal(on(at(0), (tx) => listSessions(tx, { limit: 1 }))[0]?.updatedRoutes, null);
    }
  });

  test('leaves the routes that the portal answered a connect with on its session', async (t) => {
    const { on, settle, it } = await outbox(t, connectOf(sessionId));
    on(at(0), (tx) => begin(tx, { sessionId: 'other', ocservId: '2' }));
    settle({ kind: 'taken', updatedRoutes: ['10.9.0.0/16'], mustEnd: null });
    assert.equal(it(), undefined);
    const routes = on(at(0), (tx) => listSessions(tx, { limit: 9 })).map((one) => one.updatedRoutes);
    assert.deepEqual(routes, [null, ['10.9.0.0/16']]);
  });
});

describe('an event that the portal did not take', () => {
  test('waits as after an error, longer each time, and keeps what the portal said', async (t) => {
    const { settle, it } = await outbox(t, endOf(sessionId));
    for (const [attempts, wait] of [
      [1, 1_000],
      [2, 2_000],
      [3, 4_000],
    ] as const) {
      settle({ kind: 'refused', detail: 'busy', mustEnd: null });
      assert.partialDeepStrictEqual(it(), {
        attempts,
        lastError: 'not taken: busy',
        retryAt: at(wait).wall,
        failedAt: null,
      });
    }
  });

  test('waits with jitter, and at most retry_max', async (t) => {
    const { on, settle, it } = await outbox(t, endOf(sessionId));
    on(at(0), (tx) => tx.write('UPDATE event SET attempts = 4'));
    settle({ kind: 'refused', detail: 'busy', mustEnd: null }, { random: 0 });
    assert.equal(it()?.retryAt, at(12_000).wall);
    on(at(0), (tx) => tx.write('UPDATE event SET attempts = 5000'));
    settle({ kind: 'refused', detail: 'busy', mustEnd: null }, { random: 0.9 });
    assert.equal(it()?.retryAt, at(300_000).wall);
  });

  test('is set aside at once where the portal can never take it as it is', async (t) => {
    const { settle, it } = await outbox(t, endOf(sessionId));
    settle({ kind: 'invalid', detail: 'no such user' }, { now: 3 });
    assert.partialDeepStrictEqual(it(), {
      attempts: 1,
      lastError: 'INVALID_ARGUMENT: no such user',
      failedAt: at(3).wall,
    });
  });

  test('is kept and tried again as late as possible, where the portal does not know the call', async (t) => {
    const { settle, it } = await outbox(t, updateOf(sessionId));
    settle(
      { kind: 'unknown call', failure: { ...AWAY, code: 'UNIMPLEMENTED', detail: 'what?' } },
      { random: 0 },
    );
    assert.partialDeepStrictEqual(it(), {
      attempts: 1,
      lastError: 'UNIMPLEMENTED: what?',
      retryAt: at(300_000).wall,
      failedAt: null,
    });
  });

  test('waits where a portal that was reached failed', async (t) => {
    const { settle, it } = await outbox(t, endOf(sessionId));
    settle({ kind: 'failed', failure: { ...AWAY, code: 'INTERNAL' }, reached: true });
    assert.partialDeepStrictEqual(it(), { attempts: 1, lastError: 'INTERNAL: no', retryAt: at(1_000).wall });
  });

  test('does not wait where the portal was not reached: it goes out as soon as anything does', async (t) => {
    const { settle, it } = await outbox(t, endOf(sessionId));
    settle({ kind: 'failed', failure: AWAY, reached: false });
    assert.partialDeepStrictEqual(it(), {
      attempts: 1,
      lastError: 'UNAVAILABLE: no',
      retryAt: 0,
      failedAt: null,
    });
  });

  test('is never counted as delivered, and stays, whatever the answer', async (t) => {
    const answers: Reported[] = [
      { kind: 'refused', detail: 'x', mustEnd: null },
      { kind: 'invalid', detail: 'x' },
      { kind: 'unknown call', failure: AWAY },
      { kind: 'failed', failure: AWAY, reached: true },
      { kind: 'failed', failure: AWAY, reached: false },
    ];
    for (const answer of answers) {
      const { on, settle } = await outbox(t, endOf(sessionId));
      settle(answer);
      assert.deepEqual(on(at(0), idsIn), ['it'], answer.kind);
      assert.equal(
        on(at(0), (tx) => total(tx, 'ocserv.events.delivered_total')),
        0,
        answer.kind,
      );
    }
  });
});

describe('an update whose session the portal wants ended', () => {
  test('leaves an order to end it, with what the portal said, whether it took the update or not', async (t) => {
    for (const answer of [
      { kind: 'taken', updatedRoutes: [], mustEnd: 'certificate revoked' },
      { kind: 'refused', detail: 'x', mustEnd: 'certificate revoked' },
    ] as const) {
      const { on, settle } = await outbox(t, updateOf(sessionId));
      settle(answer, { now: 9 });
      const [order, ...others] = on(at(9), (tx) => dueOrders(tx, 1));
      assert.deepEqual(others, []);
      assert.partialDeepStrictEqual(order, {
        username: 'alice',
        sessionId,
        reason: 'CERTIFICATE_REVOKED',
        detail: 'certificate revoked',
        at: at(9).wall,
      });
    }
  });

  test('takes his allowances, so that no older answer lets him in again, even if the session has ended', async (t) => {
    for (const ended of [false, true]) {
      const { on, settle } = await outbox(t, updateOf(sessionId));
      const key = { username: 'alice', vhost: 'default', groupname: '', clientIp: '192.0.2.1' };
      const answer = { allowed: true, reason: '', routes: [], dnsServers: [], cacheTtl: null };
      on(at(0), (tx) => keepDecision(tx, key, { ...answer, asked: nextInSequence(tx) }, 10));
      if (ended) on(at(1), (tx) => endSession(tx, END));
      settle({ kind: 'taken', updatedRoutes: [], mustEnd: 'certificate revoked' }, { now: 9 });
      assert.equal(
        on(at(9), (tx) => findDecision(tx, key)),
        undefined,
      );
    }
  });

  test('leaves one even where the portal gives no reason', async (t) => {
    const { on, settle } = await outbox(t, updateOf(sessionId));
    settle({ kind: 'taken', updatedRoutes: [], mustEnd: '' });
    assert.equal(on(at(0), (tx) => dueOrders(tx, 1))[0]?.reason, 'ADMIN_FORCED');
  });

  test('leaves none where it has ended meanwhile: its ID may be somebody else’s by now', async (t) => {
    const { on, settle } = await outbox(t, updateOf(sessionId));
    on(at(0), (tx) => {
      endSession(tx, END);
      begin(tx, { sessionId: 'later', username: 'bob' });
    });
    settle({ kind: 'taken', updatedRoutes: [], mustEnd: 'revoked' });
    assert.equal(on(at(0), orderCount), 0);
  });
});
