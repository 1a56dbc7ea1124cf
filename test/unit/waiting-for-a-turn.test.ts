import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startedAt, startOf, uptimeSeconds } from '../../src/hook/elapsed.ts';
import { statOf } from '../../src/state/process.ts';

describe('what does not count of a deadline', () => {
  const started = startedAt(statOf(process.pid));
  const waited = (turn: number, since?: number): number | undefined =>
    startOf(process.pid, turn, since)?.waited;

  test('is the time from the start until its turn', () => {
    assert.equal(waited(Number.NaN), 0);
    assert.equal(waited(started), 0);
    const now = uptimeSeconds();
    assert.equal(waited(now), (now - started) * 1_000);
  });

  test('begins when a drain has given the call back: what that took counts', () => {
    const now = uptimeSeconds();
    assert.equal(waited(now, now), 0);
    assert.ok(Math.abs((waited(now, now - 0.02) ?? 0) - 20) < 1e-6);
    assert.equal(waited(now - 1, now), 0, 'its turn was before that');
    assert.equal(waited(Number.NaN, now), 0);
  });
});
