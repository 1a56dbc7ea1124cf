import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { age, hasPassed } from '../../src/resilience/instant.ts';
import { at } from './fixture.ts';

describe('the age of what is stored', () => {
  test('is the time that passed, where nobody touched the clock', () => {
    assert.equal(age(at(0), at(0)), 0);
    assert.equal(age(at(1_000), at(6_000)), 5_000);
  });

  test('keeps growing when the clock is set back: the kernel counts on', () => {
    const now = { ...at(60_000), wall: at(0).wall - 3_600_000 };
    assert.equal(age(at(0), now), 60_000);
  });

  test('is the larger of both differences: a clock set forward, or a machine that slept, makes it old', () => {
    const now = { ...at(60_000), wall: at(0).wall + 3_600_000 };
    assert.equal(age(at(0), now), 3_600_000);
  });

  test('goes by the wall clock alone after a reboot, whatever the new kernel has counted', () => {
    const then = at(0, 'boot-1');
    assert.equal(age(then, { ...at(5_000, 'boot-2'), mono: 3 }), 5_000);
    assert.equal(age(then, { ...at(5_000, 'boot-2'), mono: 9e12 }), 5_000);
  });

  test('goes by the wall clock alone where the kernel names no boot', () => {
    const then = { ...at(0, ''), mono: 0 };
    assert.equal(age(then, { ...at(5_000, ''), mono: 9e12 }), 5_000);
  });

  test('is negative only for what every comparable clock puts into the future', () => {
    assert.equal(age(at(5_000), at(2_000)), -3_000);
    assert.equal(age(at(5_000, 'boot-1'), at(2_000, 'boot-2')), -3_000);
    assert.equal(age(at(0), { ...at(2_000), wall: at(0).wall - 1 }), 2_000);
  });
});

describe('a span has passed', () => {
  test('at its very end, and not a millisecond before', () => {
    assert.equal(hasPassed(1_000, at(0), at(999)), false);
    assert.equal(hasPassed(1_000, at(0), at(1_000)), true);
  });

  test('although the clock was set back meanwhile', () => {
    assert.equal(hasPassed(1_000, at(0), { ...at(1_000), wall: 0 }), true);
    assert.equal(hasPassed(1_000, at(0), { ...at(999), wall: 0 }), false);
  });

  test('for a moment in the future: nobody can tell how long to wait for it', () => {
    assert.equal(hasPassed(1_000, at(1, 'boot-1'), at(0, 'boot-2')), true);
    assert.equal(hasPassed(1_000, at(1), at(0)), true);
  });
});
