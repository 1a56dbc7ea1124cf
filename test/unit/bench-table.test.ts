import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { median, quantile, ratiosTo } from '../../scripts/bench/statistics.ts';
import { markdownOf, textOf } from '../../scripts/bench/table.ts';

const TABLE = {
  title: 'Hooks',
  columns: ['what', 'ms', 'met'],
  rows: [
    ['a|b', '1.5', 'yes'],
    ['longer', '10.0', 'no'],
  ],
  notes: ['A note.'],
};

describe("the bench's tables", () => {
  test('stand on a terminal with words to the left and numbers to the right', () => {
    assert.equal(
      textOf(TABLE),
      ['Hooks', '  what      ms  met', '  a|b      1.5  yes', '  longer  10.0  no', '  A note.', ''].join(
        '\n',
      ),
    );
  });

  test('are Markdown in the document, whatever the cells hold', () => {
    assert.equal(
      markdownOf(TABLE),
      [
        '## Hooks',
        '',
        '| what | ms | met |',
        '|---|---:|---|',
        '| a\\|b | 1.5 | yes |',
        '| longer | 10.0 | no |',
        '',
        'A note.',
        '',
      ].join('\n'),
    );
  });

  test('give a row that ends early its empty cells', () => {
    assert.match(markdownOf({ ...TABLE, rows: [['short']] }), /\n\| short \| {2}\| {2}\|\n/);
  });
});

describe("the bench's statistics", () => {
  test('take quantiles between two values, in whatever order they come', () => {
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.equal(quantile([3, 1, 2], 0), 1);
    assert.equal(quantile([3, 1, 2], 0.75), 2.5);
  });

  test('compare each value with that of its own round', () => {
    assert.deepEqual(ratiosTo([1, 2], [3, 3]), [3, 1.5]);
  });
});
