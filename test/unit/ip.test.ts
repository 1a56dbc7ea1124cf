import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isIpAddress, withoutScope } from '../../src/config/ip.ts';

const CORNERS = [
  [
    '::',
    '::1',
    '1::',
    '::1.2.3.4',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:1.2.3.4',
  ],
  ['1::3:4:5:6:7:8', '1:2:3:4:5::1.2.3.4', '::ffff:192.0.2.1', 'FE80::ABCD', '0.0.0.0', '255.255.255.255'],
  [
    '',
    ':',
    ':::',
    '1',
    '1:',
    ':1',
    '::1::',
    '1:::2',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
  ],
  [
    '::1:2:3:4:5:6:7:8',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::12345',
    '::g',
    '::1.2.3',
    '::01.2.3.4',
  ],
  [
    '01.2.3.4',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-1',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.4\n',
    '0x1.2.3.4',
    '1..3.4',
  ],
  ['１.2.3.4', '::١', '[::1]', '1.2.3.4/32', '::1/128', '00001::', '::0000', '::00000', '000.0.0.0', '::1\0'],
].flat();

/** The rule that this one stands in for; a scope is cut off before either sees it. */
const known = (text: string) => isIP(text) !== 0;

function assertAgrees(text: string): void {
  assert.equal(isIpAddress(text), known(text), JSON.stringify(text));
}

/** Any text, or an address with a few characters put in, taken out or changed. */
const mutated = fc
  .tuple(
    fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom(...CORNERS)),
    fc.array(fc.tuple(fc.nat(40), fc.constantFrom(...':.0123456789afAFg% /[]', '::', '1.2.3.4', '')), {
      maxLength: 3,
    }),
  )
  .map(([address, changes]) =>
    changes.reduce((text, [at, put]) => text.slice(0, at) + put + text.slice(at + (at % 2)), address),
  )
  .filter((text) => !text.includes('%'));

describe('an IP address', () => {
  test('of either family is one, in every form that a standard library knows', () => {
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), assertAgrees), { numRuns: 2_000 });
    for (const corner of CORNERS) assertAgrees(corner);
  });

  test('that is nearly one is none', () => {
    fc.assert(fc.property(mutated, assertAgrees), { numRuns: 20_000 });
  });

  test('is made of digits, dots and colons, so no other text is one', () => {
    const text = fc.string({ unit: 'binary' }).filter((each) => !each.includes('%'));
    fc.assert(fc.property(text, assertAgrees));
  });

  test('loses its scope at the first per cent sign', () => {
    assert.equal(withoutScope('fe80::1%eth0'), 'fe80::1');
    assert.equal(withoutScope('fe80::1%25eth0%x'), 'fe80::1');
    assert.equal(withoutScope('%eth0'), '');
    assert.equal(withoutScope('192.0.2.1'), '192.0.2.1');
  });
});
