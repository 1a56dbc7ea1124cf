import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { roughly, sheet, table, visible } from '../../src/cli/output.ts';

describe('what people see', () => {
  test('is foreign text without a character that a terminal acts on', () => {
    assert.equal(visible('alice\n\x1b[31m'), 'alice\\n\\u001b[31m');
    assert.equal(visible('\x7f\x9b\u202e\u2028'), '\\u{7f}\\u{9b}\\u{202e}\\u{2028}');
    assert.equal(visible('Jörg 💥 "x"'), 'Jörg 💥 "x"');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.doesNotMatch(visible(text), /[\p{Cc}\p{Cf}\u2028\u2029]/u);
      }),
    );
  });

  test('is a table with columns as wide as their widest cell, and no blanks at the end', () => {
    assert.equal(
      table(
        ['USER', 'N'],
        [
          ['alexandra', '1'],
          ['bob', ''],
        ],
      ),
      'USER       N\nalexandra  1\nbob',
    );
    assert.equal(table(['USER', 'N'], []), 'USER  N');
  });

  test('is a sheet with its values under each other', () => {
    assert.equal(
      sheet([
        ['state', 'open'],
        ['opened at', '-'],
        ['', 'more'],
      ]),
      'state:     open\nopened at: -\n           more',
    );
  });

  test('is a span in the unit that says most', () => {
    const spans: [number, string][] = [
      [0, '0s'],
      [119, '119s'],
      [120, '2m'],
      [7_199, '120m'],
      [7_200, '2h'],
      [172_800, '2d'],
    ];
    for (const [seconds, text] of spans) assert.equal(roughly(seconds), text);
  });
});
