import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Freshness, freshness } from '../../src/resilience/freshness.ts';
import { at } from './fixture.ts';

const RULES = { ttl: 300, denyTtl: 30, staleTtl: 1_800 };
const allowance = { allowed: true, answeredAt: at(0), cacheTtl: null };
const denial = { allowed: false, answeredAt: at(0), cacheTtl: null };

/** What an entry is at each of these ages. */
function courseOf(
  entry: typeof allowance | { cacheTtl: number },
  ages: number[],
  rules = RULES,
): Freshness[] {
  return ages.map((age) => freshness({ ...allowance, ...entry }, rules, at(age)));
}

describe('how long a kept answer of the portal answers', () => {
  test('an allowance is fresh until its ttl, then stale until stale_ttl, counted from the answer', () => {
    assert.deepEqual(courseOf(allowance, [0, 299, 300, 1_799, 1_800]), [
      'fresh',
      'fresh',
      'stale',
      'stale',
      'expired',
    ]);
  });

  test('a denial is fresh until deny_ttl, and then as usable as any other', () => {
    assert.deepEqual(courseOf(denial, [29, 30, 1_799, 1_800]), ['fresh', 'stale', 'stale', 'expired']);
  });

  test('a denial lives deny_ttl where that is longer than stale_ttl', () => {
    const rules = { ...RULES, denyTtl: 5_000 };
    assert.deepEqual(courseOf(denial, [4_999, 5_000], rules), ['fresh', 'expired']);
    assert.deepEqual(courseOf(allowance, [1_800], rules), ['expired']);
  });

  test('a denial shortened by the portal is still usable until deny_ttl where that is longer than stale_ttl', () => {
    const rules = { ...RULES, denyTtl: 5_000 };
    const short = { ...denial, cacheTtl: 10 };
    assert.deepEqual(courseOf(short, [9, 10, 4_999, 5_000], rules), ['fresh', 'stale', 'stale', 'expired']);
  });

  test('an allowance is never stale where stale_ttl equals ttl', () => {
    assert.deepEqual(courseOf(allowance, [299, 300], { ...RULES, staleTtl: 300 }), ['fresh', 'expired']);
  });

  test('nothing is fresh with a ttl of zero', () => {
    assert.deepEqual(courseOf(allowance, [0], { ...RULES, ttl: 0 }), ['stale']);
    assert.deepEqual(courseOf(denial, [0], { ...RULES, denyTtl: 0 }), ['stale']);
  });
});

describe("the portal's own bound", () => {
  test('shortens how long an answer is fresh, and not how long it is usable', () => {
    assert.deepEqual(courseOf({ ...allowance, cacheTtl: 60 }, [59, 60, 1_799]), ['fresh', 'stale', 'stale']);
    assert.deepEqual(courseOf({ ...denial, cacheTtl: 5 }, [4, 5]), ['fresh', 'stale']);
  });

  test('never lengthens it', () => {
    assert.deepEqual(courseOf({ ...allowance, cacheTtl: 100_000 }, [299, 300]), ['fresh', 'stale']);
    assert.deepEqual(courseOf({ ...denial, cacheTtl: 100_000 }, [29, 30]), ['fresh', 'stale']);
  });
});

describe('an entry and the clock', () => {
  test('setting it back makes no old entry young', () => {
    const back = (age: number) => ({ ...at(age), wall: at(0).wall - 86_400_000 });
    assert.equal(freshness(allowance, RULES, back(299)), 'fresh');
    assert.equal(freshness(allowance, RULES, back(300)), 'stale');
    assert.equal(freshness(allowance, RULES, back(1_800)), 'expired');
  });

  test('an entry from the future is neither fresh nor usable', () => {
    const then = { ...allowance, answeredAt: at(1, 'boot-1') };
    assert.equal(freshness(then, RULES, at(0, 'boot-2')), 'expired');
    assert.equal(freshness({ ...then, allowed: false }, RULES, at(0, 'boot-2')), 'expired');
    assert.equal(freshness(then, RULES, at(0, 'boot-1')), 'expired');
  });

  test('a reboot takes nothing away', () => {
    assert.equal(freshness(allowance, RULES, { ...at(299, 'boot-2'), mono: 1 }), 'fresh');
  });
});
