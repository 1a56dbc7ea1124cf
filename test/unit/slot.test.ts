import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { patienceFor } from '../../src/hook/slot.ts';

describe('a hook waits for its slot', () => {
  test('three quarters of its deadline, in whole seconds', () => {
    assert.deepEqual([8_000, 5_000, 2_667, 1_334].map(patienceFor), [6, 3, 2, 1]);
  });

  test('not at all where that is less than one', () => {
    assert.deepEqual([1_000, 1_333].map(patienceFor), [0, 0]);
  });

  test('half a minute at most', () => {
    assert.deepEqual([40_000, 41_000, 300_000].map(patienceFor), [30, 30, 30]);
  });
});
