import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startedAt, startOf, uptimeSeconds } from '../../src/hook/elapsed.ts';
import { statOf } from '../../src/state/process.ts';

describe('what does not count of a deadline', () => {
  const started = startedAt(statOf(process.pid));
  const waited = (turn: number, elsewhere?: number): number | undefined =>
    startOf(process.pid, turn, elsewhere)?.waited;

  test('is the time from the start until its turn', () => {
    assert.equal(waited(Number.NaN), 0);
    assert.equal(waited(started), 0);
    const now = uptimeSeconds();
    assert.equal(waited(now), (now - started) * 1_000);
  });

  test('is not the time meanwhile for which a drain had its call', () => {
    const turn = uptimeSeconds();
    const whole = turn - started;
    assert.equal(waited(turn, whole), 0);
    assert.equal(
      waited(turn, whole / 4),
      (whole - whole / 4) * 1_000,
      'what it waited before and after that is',
    );
    assert.equal(waited(turn, whole + 1), 0);
    assert.equal(waited(Number.NaN, 1), 0);
  });
});
