import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { DRAIN_COMES_WITHIN, longestConnect, patienceFor } from '../../src/hook/turn.ts';

describe('a hook waits for its slot', () => {
  test('for half of its deadline, in whole seconds', () => {
    assert.deepEqual([8_000, 5_999, 2_000, 1_999].map(patienceFor), [4, 2, 1, 0]);
  });

  test('for ten seconds at most', () => {
    assert.deepEqual([20_000, 22_000, 300_000].map(patienceFor), [10, 10, 10]);
  });
});

test('a connect may take its deadline, and its turns before it', () => {
  assert.deepEqual([8_000, 2_000, 1_500, 300_000].map(longestConnect), [34_000, 9_000, 1_500, 362_000]);
});

test('the launcher waits as long for a drain, and for as many slots', () => {
  const launcher = readFileSync(new URL('../../bin/ocagent-hook', import.meta.url), 'utf8');
  const [, drain] = /^DRAIN_COMES_WITHIN=(\d+)$/m.exec(launcher) ?? [];
  const [, turns = ''] = /for turn in ([\d ]+); do/.exec(launcher) ?? [];
  const [, patience = ''] = /^DEFAULT_PATIENCE=(\d+)$/m.exec(launcher) ?? [];
  assert.equal(Number(drain), DRAIN_COMES_WITHIN);
  assert.equal(Number(patience), patienceFor(8_000));
  const waits = Number(drain) + 2 * turns.split(' ').length * Number(patience);
  assert.equal(longestConnect(8_000), waits * 1_000 + 8_000);
});
