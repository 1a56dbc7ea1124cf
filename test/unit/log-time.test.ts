import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rfc3339 } from '../../src/log/time.ts';

test('a time is written as toISOString writes it', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true }),
      (time) => {
        assert.equal(rfc3339(time), time.toISOString());
      },
    ),
  );
});
