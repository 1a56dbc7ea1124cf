import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/config/duration.ts';

describe('a duration', () => {
  test('is read as Go and Prometheus write it, in milliseconds', () => {
    const table: [string, number][] = [
      ['300ms', 300],
      ['30s', 30_000],
      ['5m', 300_000],
      ['1h30m', 5_400_000],
      ['30d', 2_592_000_000],
      ['2w', 1_209_600_000],
      ['1m30s500ms', 90_500],
      ['1.5h', 5_400_000],
      ['500us', 0.5],
      ['500µs', 0.5],
      ['0s', 0],
      ['0', 0],
    ];
    for (const [text, milliseconds] of table) assert.equal(parseDuration(text), milliseconds, text);
  });

  test('has a unit, no sign, no blank and nothing around it', () => {
    for (const text of [
      '',
      ' ',
      '5',
      '1.5',
      's',
      '-5s',
      '+5s',
      ' 5s',
      '5s ',
      '5 s',
      '5s\n',
      '.5s',
      '5.s',
      '1e3s',
    ])
      assert.equal(parseDuration(text), null, JSON.stringify(text));
    for (const text of ['5x', '5S', '5M', '1h-1m', '5s!', '٣s', 'NaNs', 'Infinitys']) {
      assert.equal(parseDuration(text), null, text);
    }
  });

  test('that no number can hold exactly is none', () => {
    assert.equal(parseDuration('99999999999999999999d'), null);
  });

  test('with a fraction is exact: 1.001s are 1001 ms, and 1.1h are 66 minutes', () => {
    assert.equal(parseDuration('1.001s'), 1_001);
    assert.equal(parseDuration('1.1h'), 3_960_000);
    assert.equal(formatDuration(parseDuration('1.1h') ?? 0), '1h6m');
  });

  test('is shown in its shortest exact form', () => {
    const table: [number, string][] = [
      [0, '0s'],
      [90_000, '1m30s'],
      [300, '300ms'],
      [5_400_000, '1h30m'],
      [2_592_000_000, '30d'],
      [0.5, '0.5ms'],
    ];
    for (const [milliseconds, text] of table) assert.equal(formatDuration(milliseconds), text);
  });

  test('that is shown is read as the same again', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (milliseconds) => {
        assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds);
      }),
    );
  });
});
