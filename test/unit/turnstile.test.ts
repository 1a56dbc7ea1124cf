import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turnstile } from '../../src/drain/turnstile.ts';
import { NARROWEST } from '../../src/portal/width.ts';

describe('a turnstile', () => {
  const enterAll = (turnstile: Turnstile, count: number): number[] => {
    const inside: number[] = [];
    for (let i = 0; i < count; i++) void turnstile.enter().then(() => inside.push(i));
    return inside;
  };

  test('lets few in at first, and twice as many with each answer, up to 100, in their order', async () => {
    const turnstile = new Turnstile();
    const inside = enterAll(turnstile, 300);
    await nextTurn();
    assert.equal(inside.length, NARROWEST);
    const sizes: number[] = [];
    for (let answers = 0; answers < 6; answers++) {
      turnstile.leave(true);
      await nextTurn();
      sizes.push(inside.length - answers - 1);
    }
    assert.deepEqual(sizes, [16, 32, 64, 100, 100, 100]);
    assert.deepEqual(
      inside,
      Array.from({ length: 106 }, (_, i) => i),
    );
  });

  test('lets one in for each that leaves without an answer', async () => {
    const turnstile = new Turnstile();
    const inside = enterAll(turnstile, 20);
    for (let left = 0; left < 20; left++) turnstile.leave(false);
    await nextTurn();
    assert.equal(inside.length, 20);
    const more = enterAll(turnstile, 20);
    await nextTurn();
    assert.equal(more.length, NARROWEST);
  });
});
