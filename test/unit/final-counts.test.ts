import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { EndReason } from '../../src/accounting/event.ts';
import { finalCounts, type TunnelCounts } from '../../src/accounting/final-counts.ts';

const LARGEST = '18446744073709551615';

function counts(bytesIn: string, bytesOut: string, packetsIn = '0', packetsOut = '0'): TunnelCounts {
  return { bytesIn, bytesOut, packetsIn, packetsOut };
}

function down(bytesIn: string | null, bytesOut: string | null, tunnel: TunnelCounts | null = null) {
  return { bytesIn, bytesOut, tunnel, reason: 'SERVER_SHUTDOWN' as const };
}

describe('the counts that an end is booked with', () => {
  test("are ocserv's own, digit by digit, in all 64 bits", () => {
    const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    const reasons: EndReason[] = ['UNSPECIFIED', 'ADMIN_FORCED', 'CONNECTION_ERROR'];
    fc.assert(
      fc.property(uint64, uint64, fc.constantFrom(...reasons), (bytesIn, bytesOut, reason) => {
        const tunnel = counts(LARGEST, LARGEST);
        const booked = finalCounts({ bytesIn, bytesOut, reason, tunnel }, tunnel);
        assert.deepEqual([booked.bytesIn, booked.bytesOut, booked.source], [bytesIn, bytesOut, 'ocserv']);
      }),
    );
  });

  test('stay 0 in an ordinary end, although the kernel counted something: ocserv is the one that bills', () => {
    for (const reason of ['UNSPECIFIED', 'ADMIN_FORCED', 'CERTIFICATE_REVOKED'] as const) {
      const booked = finalCounts(
        { bytesIn: '0', bytesOut: '0', reason, tunnel: counts('5', '6') },
        counts('7', '8'),
      );
      assert.deepEqual([booked.bytesIn, booked.bytesOut, booked.source], ['0', '0', 'ocserv'], reason);
    }
  });

  test('stay unknown where ocserv named none and nobody else knows', () => {
    assert.deepEqual(finalCounts(down(null, null), null), {
      bytesIn: null,
      bytesOut: null,
      packetsIn: '0',
      packetsOut: '0',
      source: 'ocserv',
    });
  });

  test("are the kernel's when the server goes down, which names 0 for all, or nothing", () => {
    const tunnel = counts(LARGEST, '9007199254740993', '3', '4');
    for (const named of ['0', null]) {
      assert.deepEqual(finalCounts(down(named, named, tunnel), null), { ...tunnel, source: 'kernel' });
    }
  });

  test('are those of the last look, where the tunnel is gone', () => {
    const seen = counts('10', '20', '1', '2');
    assert.deepEqual(finalCounts(down('0', '0'), seen), { ...seen, source: 'kernel' });
  });

  test('are the larger ones of both, as numbers and not as text', () => {
    const booked = finalCounts(
      down('0', '0', counts('9', '1000', '99', '5')),
      counts('10', '999', '100', '4'),
    );
    assert.deepEqual(booked, { ...counts('10', '1000', '100', '5'), source: 'kernel' });
  });

  test("are ocserv's even when the server goes down, as soon as it names any traffic", () => {
    for (const [bytesIn, bytesOut] of [
      ['1', '0'],
      ['0', '1'],
      ['1', null],
    ] as const) {
      const { packetsIn, packetsOut, ...bytes } = finalCounts(
        down(bytesIn, bytesOut, counts('7', '7')),
        null,
      );
      assert.deepEqual(bytes, { bytesIn, bytesOut, source: 'ocserv' });
      assert.deepEqual([packetsIn, packetsOut], ['0', '0']);
    }
  });

  test("have the kernel's packets in every case, which ocserv does not count", () => {
    const end = { bytesIn: '1', bytesOut: '2', reason: 'UNSPECIFIED', tunnel: null } as const;
    const booked = finalCounts(end, counts('900', '900', LARGEST, '4'));
    assert.deepEqual(booked, { ...counts('1', '2', LARGEST, '4'), source: 'ocserv' });
  });
});
