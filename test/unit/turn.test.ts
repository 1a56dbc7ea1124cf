import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { longestConnect, patienceFor } from '../../src/hook/turn.ts';

describe('a hook waits for its slot', () => {
  test('for half of its deadline, in whole seconds', () => {
    assert.deepEqual([8_000, 5_999, 2_000, 1_999].map(patienceFor), [4, 2, 1, 0]);
  });

  test('for ten seconds at most', () => {
    assert.deepEqual([20_000, 22_000, 300_000].map(patienceFor), [10, 10, 10]);
  });
});

test('a connect may take its deadline, and its turns before it', () => {
  assert.deepEqual([8_000, 2_000, 1_500, 300_000].map(longestConnect), [22_000, 6_000, 1_500, 332_000]);
});
