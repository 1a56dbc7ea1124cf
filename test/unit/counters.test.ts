import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Attributes,
  BUCKETS,
  type CounterName,
  type HistogramName,
} from '../../src/metrics/catalogue.ts';
import { count, counted, observe, observed, total } from '../../src/state/counters.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at, ledger, openState, scratch } from './fixture.ts';
import { sibling } from './state-child.ts';

const DELIVERED = 'ocserv.events.delivered_total';
const DURATION = 'ocserv.hook.duration';

/** The places of a histogram's buckets that are not empty, and how many fell into each. */
function filled(buckets: readonly number[]): [number, number][] {
  return [...buckets.entries()].filter(([, n]) => n > 0);
}

describe('a counter', () => {
  test('begins with nothing, and adds one at a time, for each set of attributes by itself', async (t) => {
    const run = await ledger(t);
    assert.deepEqual(
      run(at(0), (tx) => [counted(tx, DELIVERED), total(tx, DELIVERED)]),
      [[], 0],
    );
    for (const type of ['connect', 'disconnect', 'connect', 'update', 'connect']) {
      run(at(0), (tx) => count(tx, DELIVERED, { type }));
    }
    const [points, sum] = run(at(0), (tx) => [counted(tx, DELIVERED), total(tx, DELIVERED)] as const);
    assert.deepEqual(points, [
      { attributes: { type: 'connect' }, value: 3 },
      { attributes: { type: 'disconnect' }, value: 1 },
      { attributes: { type: 'update' }, value: 1 },
    ]);
    assert.equal(sum, 5);
  });

  test('does not mix with another of the same attributes', async (t) => {
    const run = await ledger(t);
    run(at(0), (tx) => {
      count(tx, 'ocserv.cache.hits_total');
      count(tx, 'ocserv.cache.misses_total');
      count(tx, 'ocserv.cache.misses_total');
    });
    const sums = run(at(0), (tx) => [
      total(tx, 'ocserv.cache.hits_total'),
      total(tx, 'ocserv.cache.misses_total'),
      total(tx, 'ocserv.cache.stale_hits_total'),
    ]);
    assert.deepEqual(sums, [1, 2, 0]);
  });

  test('is one series in whatever order its attributes are named', async (t) => {
    const run = await ledger(t);
    const name = 'ocserv.hook.decisions_total';
    run(at(0), (tx) => {
      count(tx, name, { source: 'portal', allowed: 'true' });
      count(tx, name, { allowed: 'true', source: 'portal' });
    });
    assert.deepEqual(
      run(at(0), (tx) => counted(tx, name)),
      [{ attributes: { allowed: 'true', source: 'portal' }, value: 2 }],
    );
  });
});

describe('a histogram', () => {
  for (const [place, bound] of BUCKETS.entries()) {
    test(`takes exactly ${bound} s into the bucket of that bound, and a hair more into the next`, async (t) => {
      const run = await ledger(t);
      run(at(0), (tx) => {
        observe(tx, DURATION, bound, { reason: 'connect' });
        observe(tx, DURATION, bound * (1 + Number.EPSILON), { reason: 'disconnect' });
      });
      const points = run(at(0), (tx) => observed(tx, DURATION));
      assert.deepEqual(
        points.map(({ attributes, buckets }) => [attributes, filled(buckets)]),
        [
          [{ reason: 'connect' }, [[place, 1]]],
          [{ reason: 'disconnect' }, [[place + 1, 1]]],
        ],
      );
    });
  }

  test('has one more bucket above its last bound, and takes what is below nothing as nothing', async (t) => {
    const run = await ledger(t);
    run(at(0), (tx) => {
      for (const seconds of [30.1, 86_400, 0, -3]) observe(tx, DURATION, seconds, { reason: 'connect' });
    });
    const [point] = run(at(0), (tx) => observed(tx, DURATION));
    assert.equal(point?.buckets.length, BUCKETS.length + 1);
    assert.deepEqual(filled(point?.buckets ?? []), [
      [0, 2],
      [BUCKETS.length, 2],
    ]);
    assert.equal(point?.sum, 86_430.1, 'a sum that decreases would be a reset');
  });

  test('sums up seconds, for each set of attributes by itself and in whatever order they are named', async (t) => {
    const run = await ledger(t);
    const name = 'ocserv.portal.call.duration';
    run(at(0), (tx) => {
      observe(tx, name, 0.25, { rpc: 'CheckPolicy', grpc_code: 'OK' });
      observe(tx, name, 0.5, { grpc_code: 'OK', rpc: 'CheckPolicy' });
      observe(tx, name, 3, { rpc: 'CheckPolicy', grpc_code: 'UNAVAILABLE' });
    });
    const points = run(at(0), (tx) => observed(tx, name));
    assert.deepEqual(
      points.map(({ attributes, sum, buckets }) => [attributes['grpc_code'], sum, filled(buckets)]),
      [
        [
          'OK',
          0.75,
          [
            [BUCKETS.indexOf(0.25), 1],
            [BUCKETS.indexOf(0.5), 1],
          ],
        ],
        ['UNAVAILABLE', 3, [[BUCKETS.indexOf(5), 1]]],
      ],
    );
  });
});

describe('what is counted', () => {
  const everything = (tx: Transaction) => [observed(tx, DURATION), counted(tx, DELIVERED)];
  const countBoth = (tx: Transaction): void => {
    count(tx, DELIVERED, { type: 'connect' });
    observe(tx, DURATION, 1, { reason: 'connect' });
  };

  test('is nothing where the transaction is not committed', async (t) => {
    const run = await ledger(t);
    run(at(0), countBoth);
    const before = run(at(0), everything);
    assert.throws(() =>
      run(at(0), (tx) => {
        countBoth(tx);
        throw new Error('the disk went');
      }),
    );
    assert.deepEqual(run(at(0), everything), before);
  });

  test('is nothing where the state can only be read', async (t) => {
    const run = await ledger(t);
    run(at(0), countBoth, false);
    assert.deepEqual(run(at(0), everything), [[], []]);
  });

  test('is there for the next process, and what several count at once is the sum of it', async (t) => {
    const path = join(scratch(t), 'state.db');
    const state = await openState(path);
    await state.step((tx) => count(tx, 'ocserv.cache.hits_total'));
    const said = await Promise.all(Array.from({ length: 8 }, () => sibling(t, 'count', path).said()));
    assert.deepEqual(said.map(Number).sort(), [2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('is what a model of it has, whatever was counted and given up in whatever order', async (t) => {
    const run = await ledger(t);
    const counters: CounterName[] = [
      'ocserv.cache.hits_total',
      'ocserv.events.dropped_total',
      'ocserv.hook.decisions_total',
    ];
    const histograms: HistogramName[] = ['ocserv.hook.duration', 'ocserv.portal.call.duration'];
    const attributes = fc.dictionary(
      fc.constantFrom('a', 'b', 'source'),
      fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('"', '\\', '{}', 'ä')),
      { maxKeys: 2 },
    );
    const seconds = fc.oneof(
      fc.constantFrom(...BUCKETS),
      fc.double({ min: -1, max: 100, noNaN: true }),
      fc.integer({ min: 0, max: 60 }),
    );
    const one = fc.oneof(
      fc.record({ name: fc.constantFrom(...counters), attributes }),
      fc.record({ name: fc.constantFrom(...histograms), attributes, seconds }),
    );
    const step = fc.record({ commits: fc.boolean(), ones: fc.array(one, { maxLength: 5 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        run(at(0), (tx) => {
          tx.write('DELETE FROM counter');
          tx.write('DELETE FROM histogram');
        });
        const model = new Map<string, number[]>();
        for (const { commits, ones } of steps) {
          try {
            run(at(0), (tx) => {
              for (const what of ones) {
                if ('seconds' in what) observe(tx, what.name, what.seconds, what.attributes);
                else count(tx, what.name, what.attributes);
              }
              if (!commits) throw new Error('given up');
            });
          } catch (error) {
            if ((error as Error).message !== 'given up') throw error;
            continue;
          }
          for (const what of ones) {
            const key = keyOf(what.name, what.attributes);
            model.set(key, [...(model.get(key) ?? []), 'seconds' in what ? what.seconds : 1]);
          }
        }
        const found = new Map<string, number>();
        run(at(0), (tx) => {
          for (const name of counters) {
            const points = counted(tx, name);
            for (const { attributes, value } of points) found.set(keyOf(name, attributes), value);
            assert.equal(
              total(tx, name),
              points.reduce((sum, { value }) => sum + value, 0),
            );
          }
          for (const name of histograms) {
            for (const { attributes, buckets, sum } of observed(tx, name)) {
              const key = keyOf(name, attributes);
              const seen = model.get(key) ?? [];
              const upTo = (bound: number): number => seen.filter((value) => value <= bound).length;
              const cumulative = buckets.map((_, i) => buckets.slice(0, i + 1).reduce((a, b) => a + b, 0));
              assert.deepEqual(cumulative, [...BUCKETS.map(upTo), seen.length], key);
              assert.equal(
                sum,
                seen.reduce((all, value) => all + Math.max(0, value), 0),
                key,
              );
              found.set(key, seen.length);
            }
          }
        });
        const expected = new Map([...model].map(([key, { length }]) => [key, length]));
        assert.deepEqual([...found].sort(), [...expected].sort());
      }),
      { numRuns: 200 },
    );
  });
});

function keyOf(name: string, attributes: Attributes): string {
  return JSON.stringify([name, Object.entries(attributes).sort()]);
}
