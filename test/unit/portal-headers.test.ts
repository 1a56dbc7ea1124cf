import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { grpcTimeout, requestHeaders } from '../../src/portal/request-headers.ts';

const MS: Readonly<Record<string, number>> = { H: 3_600_000, m: 1 };

describe('a call says', () => {
  test('what gRPC over HTTP/2 wants to know, besides its own', () => {
    const { 'user-agent': agent, ...headers } = requestHeaders('/vpn.v1.A/B', true, 'portal:9091', 2_987.6, {
      'x-agent-id': 'vpn-1',
    });
    assert.deepEqual(headers, {
      ':method': 'POST',
      ':scheme': 'https',
      ':authority': 'portal:9091',
      ':path': '/vpn.v1.A/B',
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': 'identity',
      'grpc-timeout': '2987m',
      'x-agent-id': 'vpn-1',
    });
    assert.match(agent ?? '', /^grpc-node-/);
    assert.equal(requestHeaders('/a/b', false, 'localhost:1', 1, {})[':scheme'], 'http');
  });

  test('nothing of its own in the place of what gRPC says', () => {
    const said = requestHeaders('/a/b', true, 'portal', 1, { ':path': '/c', te: 'x', 'grpc-timeout': '1H' });
    assert.deepEqual([said[':path'], said['te'], said['grpc-timeout']], ['/a/b', 'trailers', '1m']);
  });

  test('how long it waits, in at most eight digits, and never as longer than it does', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (left) => {
        const [, digits, unit] = /^([1-9]\d{0,7})([Hm])$/.exec(grpcTimeout(left)) ?? [];
        const told = Number(digits) * (MS[unit ?? ''] ?? Number.NaN);
        assert.ok(told <= Math.max(1, left), `${left}: ${grpcTimeout(left)}`);
        assert.ok(told > left - 3_600_000, `${left}: ${grpcTimeout(left)}`);
      }),
    );
    assert.equal(grpcTimeout(0), '1m');
    assert.equal(grpcTimeout(99_999_999), '99999999m');
    assert.equal(grpcTimeout(100_000_000), '27H');
  });
});
