import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { headerValue } from '../../src/portal/metadata.ts';
import { starved } from '../../src/portal/starvation.ts';
import { clip, failureOf, localFault } from '../../src/portal/status.ts';

const COUNTING = [
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'UNKNOWN',
  'RESOURCE_EXHAUSTED',
  'ABORTED',
  'DATA_LOSS',
  'CANCELLED',
];
const MISCONFIGURED = ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED'];
const STATUSES = Object.entries(status).filter(
  (entry): entry is [string, number] => typeof entry[1] === 'number' && entry[0] !== 'OK',
);

describe('a status other than OK', () => {
  test('counts against the breaker if it speaks of the availability of the portal, and no other does', () => {
    assert.equal(STATUSES.length, 16);
    for (const [name, code] of STATUSES) {
      const { counts } = failureOf(code, '', true);
      assert.equal(counts !== 'no', COUNTING.includes(name), name);
    }
    for (const code of [17, 99, -1]) assert.equal(failureOf(code, '', true).counts, 'no', `${code}`);
  });

  test('could be provoked by the request once the portal was reached, and not before', () => {
    for (const [name, code] of STATUSES.filter(([each]) => COUNTING.includes(each))) {
      assert.equal(failureOf(code, '', true).counts, 'provokable', name);
      assert.equal(failureOf(code, '', false).counts, 'unreached', name);
    }
  });

  test('is a misconfiguration with a cure where waiting mends nothing', () => {
    for (const [name, code] of STATUSES) {
      const { misconfigured, cure } = failureOf(code, '', true);
      assert.equal(misconfigured, MISCONFIGURED.includes(name), name);
      assert.equal(cure !== '', misconfigured, name);
    }
  });

  test('is called by its name, or by its number where it has none', () => {
    assert.equal(failureOf(status.UNAVAILABLE, '', true).code, 'UNAVAILABLE');
    assert.equal(failureOf(99, '', true).code, 'STATUS_99');
  });

  test('brings no more text along than a line has room for', () => {
    assert.equal(failureOf(status.UNKNOWN, 'short', true).detail, 'short');
    assert.ok(failureOf(status.UNKNOWN, 'x'.repeat(100_000), true).detail.length <= 501);
    assert.equal(clip('x'.repeat(500)), 'x'.repeat(500));
    assert.equal(clip('x'.repeat(501)), `${'x'.repeat(500)}…`);
  });
});

test('a fault on this machine never counts, and has a cure', () => {
  const { counts, misconfigured, code, cure } = localFault('the key cannot be read', 'chmod it');
  assert.deepEqual([counts, misconfigured, code, cure], ['no', true, 'LOCAL', 'chmod it']);
});

describe('a value of gRPC metadata', () => {
  test('is as it is where it is printable ASCII', () => {
    assert.equal(headerValue('vpn-1.example.net (a/b) ~!"#$&'), 'vpn-1.example.net (a/b) ~!"#$&');
  });

  test('is percent-encoded where it is not, the per cent sign too', () => {
    assert.equal(headerValue('50%'), '50%25');
    assert.equal(headerValue('Jörg 💥'), 'J%C3%B6rg %F0%9F%92%A5');
    assert.equal(headerValue('a\r\nx-agent-id: b\0\x7f'), 'a%0D%0Ax-agent-id: b%00%7F');
  });

  test('is always printable ASCII, and reads back as what was said', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const value = headerValue(text);
        assert.match(value, /^[\x20-\x7e]*$/);
        assert.equal(decodeURIComponent(value), text);
      }),
    );
  });
});

test('a process was starved when it could not run for more than a third of the time', () => {
  assert.equal(starved(1_000, 3_000), false);
  assert.equal(starved(1_001, 3_000), true);
  assert.equal(starved(0, 0), false);
});
