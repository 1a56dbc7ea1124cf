import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeClock } from '../../src/doctor/clock.ts';

const PORTAL = new Date('2026-11-23T13:00:00Z');
const later = (milliseconds: number) => new Date(PORTAL.getTime() + milliseconds);

describe("this machine's clock beside the portal's", () => {
  for (const [offset, level] of [
    [0, 'ok'],
    // The portal's date says 13:00:00 until 13:00:01.
    [999, 'ok'],
    [5_500, 'ok'],
    [5_501, 'warning'],
    [-4_500, 'ok'],
    [-4_501, 'warning'],
    [60_500, 'warning'],
    [60_501, 'broken'],
    [-59_500, 'warning'],
    [-59_501, 'broken'],
  ] as const) {
    test(`${offset} ms from it: ${level}`, () => {
      assert.equal(judgeClock(PORTAL, later(offset)).level, level);
    });
  }

  test('says which of the two is ahead', () => {
    assert.match(judgeClock(PORTAL, later(90_500)).what, /is 90 s ahead of the portal's/);
    assert.match(judgeClock(PORTAL, later(-89_500)).what, /is 90 s behind the portal's/);
  });

  test('is all right without being told the time, where something has set it', () => {
    assert.equal(judgeClock(null, PORTAL, true).level, 'ok');
  });

  test('is a note where nobody tells', () => {
    const { level, cure } = judgeClock(null, PORTAL, false);
    assert.equal(level, 'note');
    assert.match(cure, /timedatectl/);
  });
});
