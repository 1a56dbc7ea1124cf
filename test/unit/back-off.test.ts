import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { backOff } from '../../src/resilience/back-off.ts';

const rules = fc
  .tuple(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 100_000_000 }))
  .map(([initial, more]) => ({ initial, max: initial + more }));
const failures = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 1_000_000 }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('the wait between two tries', () => {
  test('is doubled after each failure in a row, up to its bound', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7].map((n) => backOff(n, { initial: 1_000, max: 30_000 }, 0.5));
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test('is a whole number of milliseconds within the bounds, whatever happened how often', () => {
    fc.assert(
      fc.property(failures, rules, random, (n, bounds, r) => {
        const wait = backOff(n, bounds, r);
        assert.ok(Number.isInteger(wait) && wait >= bounds.initial && wait <= bounds.max, String(wait));
      }),
    );
  });

  test('never gets shorter with another failure', () => {
    fc.assert(
      fc.property(failures, rules, random, (n, bounds, r) => {
        assert.ok(backOff(n + 1, bounds, r) >= backOff(n, bounds, r));
      }),
    );
  });

  test('is at most a quarter more or less than the doubling, by the random number', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 20 }),
        fc.integer({ min: 4, max: 10_000 }),
        random,
        (n, initial, r) => {
          const nominal = initial * 2 ** (n - 1);
          const wait = backOff(n, { initial, max: Number.MAX_SAFE_INTEGER }, r);
          assert.equal(wait, Math.round(nominal * (0.75 + r / 2)));
          assert.ok(wait >= Math.floor(nominal * 0.75) && wait <= Math.ceil(nominal * 1.25));
        },
      ),
    );
  });

  test('spreads those that failed together over half of the doubling', () => {
    const rules = { initial: 1_000, max: 1_000_000 };
    const waits = Array.from({ length: 100 }, (_, n) => backOff(4, rules, n / 100));
    assert.equal(new Set(waits).size, 100);
    assert.deepEqual([Math.min(...waits), Math.max(...waits)], [6_000, 9_960]);
  });

  test('differs at the upper bound too, where all who waited long meet', () => {
    const rules = { initial: 1_000, max: 300_000 };
    assert.equal(backOff(30, rules, 0), 225_000);
    assert.equal(backOff(30, rules, 0.999), 300_000);
  });

  test('is the upper bound where that is the smaller one by mistake', () => {
    assert.equal(backOff(1, { initial: 5_000, max: 1_000 }, 0), 1_000);
  });
});
