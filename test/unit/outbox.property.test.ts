import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { EventType } from '../../src/accounting/event.ts';
import {
  delivered,
  drop,
  enqueue,
  forgetWaits,
  nextDue,
  noteTry,
  pendingCount,
  postpone,
  type Queued,
  setAsideEvent,
} from '../../src/state/outbox.ts';
import { findEvent, listEvents, retryEvent } from '../../src/state/outbox-list.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger } from './fixture.ts';
import { OutboxModel } from './outbox-model.ts';
import { eventOf, PLENTY } from './session-events.ts';

const SESSIONS = ['14304-1', `'); DROP TABLE event; --`, '["14304-1"]', '\u2028💥', ''];
const LONGEST = 100;

type Answer = 'taken' | 'postponed' | 'set aside' | 'not reached' | 'lost';
type Event =
  | { readonly do: 'enqueue'; readonly session: number; readonly type: EventType }
  | { readonly do: 'send'; readonly limit: number }
  /** What came of one that is on its way; `lost`: the drain died, and another begins. */
  | { readonly do: 'answer'; readonly which: number; readonly answer: Answer; readonly wait: number }
  | { readonly do: 'retry' | 'drop'; readonly which: number }
  | { readonly do: 'forget waits' | 'forget long waits' }
  | { readonly do: 'set the clock'; readonly by: number };

const type = fc.constantFrom<EventType>('connect', 'update', 'disconnect');
const session = fc.nat(SESSIONS.length - 1);
const answer = fc.constantFrom<Answer>('taken', 'taken', 'postponed', 'set aside', 'not reached', 'lost');
const which = fc.nat(5);
const wait = fc.integer({ min: 1, max: LONGEST });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('enqueue' as const), session, type }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('send' as const), limit: fc.nat(4) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('answer' as const), which, answer, wait }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('retry' as const, 'drop' as const), which }) },
  { weight: 1, arbitrary: fc.constantFrom<Event>({ do: 'forget waits' }, { do: 'forget long waits' }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('set the clock' as const),
      by: fc.oneof(fc.integer({ min: 0, max: LONGEST }), fc.integer({ min: -1_000, max: 1_000 })),
    }),
  },
);

/** The outbox and the model side by side, under one drain that knows what it has sent. */
class Both {
  readonly model: OutboxModel;
  readonly ids: string[] = [];
  out: Queued[] = [];
  clock = 0;
  readonly #maxPending: number;

  constructor(maxPending: number) {
    this.#maxPending = maxPending;
    this.model = new OutboxModel(maxPending);
  }

  take(tx: Transaction, event: Event): void {
    const now = tx.now.wall;
    switch (event.do) {
      case 'enqueue': {
        const id = `event ${this.ids.length}`;
        const name = SESSIONS[event.session] ?? '';
        this.ids.push(id);
        this.model.enqueue(id, name, event.type);
        enqueue(tx, eventOf(event.type, name), { maxPending: this.#maxPending, id });
        return;
      }
      case 'send': {
        const busy = new Set(this.out.map((queued) => queued.event.sessionId));
        const found = nextDue(tx, busy, event.limit);
        const expected = this.model.nextDue(busy, event.limit, now);
        assert.deepEqual(
          found.map(({ id }) => id),
          expected,
        );
        this.out.push(...found);
        return;
      }
      case 'answer': {
        const [queued] = this.out.splice(event.which, 1);
        if (queued !== undefined) this.#settle(tx, queued, event.answer, event.wait);
        return;
      }
      case 'retry': {
        const failed = this.model.entries.filter((one) => one.failed)[event.which];
        const found = failed && findEvent(tx, failed.id);
        if (found === undefined) return;
        retryEvent(tx, found);
        this.model.retry(found.id);
        return;
      }
      case 'drop': {
        const found = findEvent(tx, this.model.entries[event.which]?.id ?? '');
        if (found === undefined) return;
        drop(tx, [{ seq: found.seq, id: found.id, type: found.event.type }]);
        this.model.drop(found.id);
        return;
      }
      case 'forget waits':
        forgetWaits(tx, 1_000);
        this.model.forgetWaits(0);
        return;
      case 'forget long waits':
        forgetWaits(tx, 1_000, LONGEST);
        this.model.forgetWaits(now + LONGEST);
        return;
      case 'set the clock':
        this.clock += event.by;
    }
  }

  #settle(tx: Transaction, queued: Queued, answer: Answer, wait: number): void {
    switch (answer) {
      case 'taken':
        delivered(tx, queued);
        this.model.deliver(queued.id);
        return;
      case 'postponed':
        postpone(tx, queued, 'later', wait);
        this.model.postpone(queued.id, tx.now.wall + wait);
        return;
      case 'set aside':
        setAsideEvent(tx, queued, 'never');
        this.model.setAside(queued.id);
        return;
      case 'not reached':
        noteTry(tx, queued, 'away');
        this.model.noteTry(queued.id);
        return;
      case 'lost':
        this.out = [];
    }
  }

  compare(tx: Transaction): void {
    const all = listEvents(tx, { limit: PLENTY });
    assert.deepEqual(
      all.map(({ id, attempts, retryAt, failedAt }) => ({
        id,
        attempts,
        retryAt,
        failed: failedAt !== null,
      })),
      this.model.entries.map(({ id, attempts, retryAt, failed }) => ({ id, attempts, retryAt, failed })),
    );
    const counted = tx.row<{ n: number }>('SELECT count(*) AS n FROM event WHERE failed_wall IS NULL');
    assert.equal(pendingCount(tx), counted?.n);
    const total = (name: string) =>
      Object.fromEntries(
        tx
          .rows<{ attributes: string; value: number }>('SELECT * FROM counter WHERE name = ?', name)
          .map(({ attributes, value }) => [JSON.parse(attributes).type, value]),
      );
    const none = { connect: 0, disconnect: 0, update: 0 };
    assert.deepEqual({ ...none, ...total('ocserv.events.delivered_total') }, this.model.delivered);
    assert.deepEqual({ ...none, ...total('ocserv.events.dropped_total') }, this.model.dropped);
  }
}

const history = fc.array(event, { maxLength: 40, size: 'max' });
const bound = fc.constantFrom(3, 6, PLENTY);

describe('whatever happens to it', () => {
  test('the outbox does what its documentation says', async (t) => {
    const on = await ledger(t);
    fc.assert(
      fc.property(bound, history, (maxPending, events) => {
        const both = new Both(maxPending);
        on(at(0), (tx) => {
          for (const table of ['event', 'counter']) tx.write(`DELETE FROM ${table}`);
          assert.equal(pendingCount(tx), 0);
        });
        for (const next of events) {
          on(at(both.clock), (tx) => {
            both.take(tx, next);
            both.compare(tx);
          });
        }
      }),
      { numRuns: 400 },
    );
  });

  test('no two of one session are out at once, and none before an earlier pending one', async (t) => {
    const on = await ledger(t);
    fc.assert(
      fc.property(bound, history, (maxPending, events) => {
        const both = new Both(maxPending);
        on(at(0), (tx) => tx.write('DELETE FROM event'));
        for (const next of events) {
          const before = both.out.length;
          on(at(both.clock), (tx) => both.take(tx, next));
          const sessions = both.out.map((queued) => queued.event.sessionId);
          assert.equal(new Set(sessions).size, sessions.length, 'one at a time');
          if (next.do !== 'send') continue;
          for (const { id, event } of both.out.slice(before)) {
            const first = both.model.pending.find((one) => one.session === event.sessionId);
            assert.equal(id, first?.id);
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  test('nothing vanishes but what was delivered, dropped, or an update that a newer event made void; disconnects stay', async (t) => {
    const on = await ledger(t);
    fc.assert(
      fc.property(bound, history, (maxPending, events) => {
        on(at(0), (tx) => tx.write('DELETE FROM event'));
        const both = new Both(maxPending);
        for (const next of events) {
          const list = (tx: Transaction) => listEvents(tx, { limit: PLENTY });
          const before = on(at(both.clock), list);
          const taken =
            next.do === 'answer' && next.answer === 'taken' ? both.out[next.which]?.id : undefined;
          const byHand = next.do === 'drop' ? both.model.entries[next.which]?.id : undefined;
          on(at(both.clock), (tx) => both.take(tx, next));
          const after = new Set(on(at(both.clock), list).map(({ id }) => id));
          for (const { id, event, failedAt } of before) {
            if (after.has(id) || id === taken || id === byHand) continue;
            assert.equal(next.do, 'enqueue', `${id} vanished by ${next.do}`);
            assert.ok(event.type !== 'disconnect' && failedAt === null, `${event.type} ${id}`);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
