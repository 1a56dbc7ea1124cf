import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { patienceFor } from '../../src/hook/slot.ts';

describe('a hook waits for its slot', () => {
  test('until its deadline, in whole seconds', () => {
    assert.deepEqual([8_000, 5_999, 1_000].map(patienceFor), [8, 5, 1]);
  });

  test('half a minute at most', () => {
    assert.deepEqual([30_000, 31_000, 300_000].map(patienceFor), [30, 30, 30]);
  });
});
