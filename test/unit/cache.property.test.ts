import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FreshnessRules } from '../../src/resilience/freshness.ts';
import type { Instant } from '../../src/resilience/instant.ts';
import {
  type DecisionKey,
  decisionCount,
  dropAllowance,
  findDecision,
  forgetAll,
  forgetUser,
  keepDecision,
  listDecisions,
  removeExpired,
  revoke,
  tallyDecisions,
  touchDecision,
} from '../../src/state/decisions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { type Asked, CacheModel } from './cache-model.ts';
import { at, ledger } from './fixture.ts';

type Event =
  | { readonly do: 'ask'; readonly key: DecisionKey }
  | { readonly do: 'answer'; readonly question: number; readonly allowed: boolean }
  | { readonly do: 'answer unasked'; readonly key: DecisionKey; readonly allowed: boolean }
  | { readonly do: 'use' | 'drop the allowance'; readonly key: DecisionKey }
  | { readonly do: 'revoke' | 'forget'; readonly username: string }
  | { readonly do: 'forget all' };

/** Few keys, so that they meet; each part alone is shared by several. */
const key: fc.Arbitrary<DecisionKey> = fc
  .tuple(
    fc.constantFrom('alice', 'bob'),
    fc.constantFrom('default', 'alice'),
    fc.constantFrom('', 'staff'),
    fc.constantFrom('192.0.2.1', '192.0.2.2'),
  )
  .map(([username, vhost, groupname, clientIp]) => ({ username, vhost, groupname, clientIp }));
const allowed = fc.boolean();

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ do: fc.constant('ask' as const), key }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('answer' as const), question: fc.nat(4), allowed }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('answer unasked' as const), key, allowed }) },
  { weight: 15, arbitrary: fc.record({ do: fc.constant('use' as const), key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('drop the allowance' as const), key }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom<'revoke' | 'forget'>('revoke', 'forget'),
      username: fc.constantFrom('alice', 'bob', 'carol'),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Event>({ do: 'forget all' }) },
);

const EMPTY = ['decision', 'revocation'] as const;

function empty(tx: Transaction): void {
  for (const table of EMPTY) tx.write(`DELETE FROM ${table}`);
}

function answerOf(verdict: boolean, note: string, asked: Asked) {
  return { allowed: verdict, reason: note, routes: [note], dnsServers: [], cacheTtl: null, asked };
}

interface Question {
  readonly key: DecisionKey;
  readonly real: Asked;
  readonly modelled: Asked;
}

function take(tx: Transaction, model: CacheModel, maxSize: number, questions: Question[], next: Event): void {
  switch (next.do) {
    case 'ask':
      questions.unshift({ key: next.key, real: nextInSequence(tx), modelled: model.tick() });
      return;
    case 'answer': {
      const [question] = questions.splice(next.question, 1);
      if (question === undefined) return;
      const note = `${model.tick()}`;
      model.answer(question.key, question.modelled, next.allowed, note);
      keepDecision(tx, question.key, answerOf(next.allowed, note, question.real), maxSize);
      return;
    }
    case 'answer unasked': {
      const note = `${model.tick()}`;
      model.answer(next.key, null, next.allowed, note);
      keepDecision(tx, next.key, answerOf(next.allowed, note, null), maxSize);
      return;
    }
    case 'use':
      model.use(next.key);
      touchDecision(tx, next.key);
      return;
    case 'drop the allowance':
      model.dropAllowance(next.key);
      dropAllowance(tx, next.key);
      return;
    case 'revoke': {
      const before = model.entries.length;
      model.revoke(next.username);
      assert.equal(revoke(tx, next.username), before - model.entries.length);
      return;
    }
    case 'forget': {
      const before = model.entries.length;
      model.forgetUser(next.username);
      assert.equal(forgetUser(tx, next.username), before - model.entries.length);
      return;
    }
    case 'forget all':
      assert.equal(forgetAll(tx), model.entries.length);
      model.forgetAll();
  }
}

test('whatever order things happen in, the cache holds what its documentation says, in the order of use', async (t) => {
  const on = await ledger(t);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(event, { maxLength: 50, size: 'max' }),
      (max, all) => {
        on(at(0), empty);
        const model = new CacheModel(max);
        const questions: Question[] = [];
        for (const next of all) {
          on(at(0), (tx) => {
            take(tx, model, max, questions, next);
            const seen = listDecisions(tx, null, 1_000).map(
              ({ username, vhost, groupname, clientIp, ...rest }) => ({
                key: { username, vhost, groupname, clientIp },
                allowed: rest.allowed,
                note: rest.reason,
              }),
            );
            const expected = model.entries
              .map(({ key, allowed, note }) => ({ key, allowed, note }))
              .reverse();
            assert.deepEqual(seen, expected);
            const counted = tx.row<{ n: number }>('SELECT count(*) AS n FROM decision')?.n;
            assert.equal(decisionCount(tx), counted);
          });
        }
      },
    ),
    { numRuns: 400 },
  );
});

/** Names as a client can choose them, with everything that could end a field, a string or a statement. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }).filter((text) => !text.includes('\0')),
  fc.constantFrom(
    '',
    'a',
    "a'",
    'a"',
    'a,b',
    'a|b',
    'a:b',
    'a\x1fb',
    'a\nb',
    ' a',
    'a ',
    'A',
    'ä',
    'ä',
    '%',
    '_',
  ),
  fc.constantFrom("' OR 1=1 --", '../etc', '[]', '{"a":1}', '$1', '?', '💥', '\u202e', 'null'),
);
/** Only the empty username means something else to the cache, and no user can have it. */
const hostileName = hostile.filter((name) => name !== '');
const hostileKey = fc.record({
  username: hostileName,
  vhost: hostile,
  groupname: hostile,
  clientIp: hostile,
});

test('no two keys collide, whatever bytes are in them', async (t) => {
  const on = await ledger(t);
  const keys = fc.uniqueArray(hostileKey, {
    selector: (one) => JSON.stringify(one),
    maxLength: 20,
    size: 'max',
  });
  fc.assert(
    fc.property(keys, (all) => {
      on(at(0), (tx) => {
        empty(tx);
        all.forEach((one, i) => {
          keepDecision(tx, one, answerOf(i % 2 === 0, `${i}`, nextInSequence(tx)), 1_000);
        });
        all.forEach((one, i) => {
          const found = findDecision(tx, one);
          assert.deepEqual([found?.allowed, found?.reason], [i % 2 === 0, `${i}`]);
        });
        assert.equal(decisionCount(tx), all.length);
        for (const { username } of all) {
          const his = all.filter((one) => one.username === username);
          assert.equal(listDecisions(tx, username, 1_000).length, his.length);
        }
      });
    }),
    { numRuns: 300 },
  );
});

const RULES: FreshnessRules = { ttl: 100, denyTtl: 20, staleTtl: 300 };
const moment: fc.Arbitrary<Instant> = fc.record({
  wall: fc.integer({ min: -500, max: 500 }).map((by) => at(by).wall),
  mono: fc.integer({ min: 0, max: 500 }),
  boot: fc.constantFrom('boot-1', 'boot-2'),
});

test('what is removed as expired, and only that, could answer nothing any more, in batches of whatever size', async (t) => {
  const on = await ledger(t);
  const kept = fc.array(fc.record({ moment, allowed, key: hostileKey }), { maxLength: 20, size: 'max' });
  fc.assert(
    fc.property(kept, moment, fc.integer({ min: 1, max: 5 }), (all, now, batch) => {
      on(now, empty);
      for (const { moment: then, allowed: verdict, key: whose } of all)
        on(then, (tx) => keepDecision(tx, whose, answerOf(verdict, '', nextInSequence(tx)), 1_000));
      const { fresh, stale, expired } = on(now, (tx) => tallyDecisions(tx, RULES));
      let removed = 0;
      let steps = 0;
      for (let cursor: DecisionKey | null = null, more = true; more; more = cursor !== null) {
        const from: DecisionKey | null = cursor;
        const step: ReturnType<typeof removeExpired> = on(now, (tx) => removeExpired(tx, RULES, from, batch));
        removed += step.removed;
        assert.ok(++steps <= all.length + 1, 'it comes to an end');
        cursor = step.next;
      }
      assert.equal(removed, expired);
      assert.deepEqual(
        on(now, (tx) => tallyDecisions(tx, RULES)),
        { fresh, stale, expired: 0 },
      );
      assert.equal(on(now, decisionCount), fresh + stale);
    }),
    { numRuns: 200 },
  );
});
