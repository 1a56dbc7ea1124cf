import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { uuidv7 } from '../../src/accounting/uuid.ts';
import { newEventId } from '../../src/state/outbox.ts';
import { at, ledger } from './fixture.ts';

const RANDOM = '0123456789abcdef0123';
const hex = (digits: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdefABCDEF'), { minLength: digits, maxLength: digits })
    .map((list) => list.join(''));

describe("an event's id", () => {
  test('is the UUIDv7 of the example in RFC 9562, for its time and its random bits', () => {
    // Appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F, whose rand_a is CC3 and whose variant digit is 9.
    assert.equal(uuidv7(0x017f22e279b0, '1cc38c4dc0c0c07398f0'), '017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  test('has version 7 and the variant of the RFC, in lower case, whatever the random part', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 48 - 1 }), hex(20), (time, random) => {
        assert.match(
          uuidv7(time, random),
          /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
        );
      }),
    );
  });

  test('tells its millisecond', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 48 - 1 }), hex(20), (time, random) => {
        const told = uuidv7(time, random).replaceAll('-', '').slice(0, 12);
        assert.equal(Number.parseInt(told, 16), time);
      }),
    );
  });

  test('sorts as text by its time', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 47 }),
        fc.integer({ min: 1, max: 2 ** 40 }),
        hex(20),
        hex(20),
        (time, later, a, b) => {
          assert.ok(uuidv7(time, a) < uuidv7(time + later, b));
        },
      ),
    );
  });

  test('differs with each of its random digits', () => {
    const ids = new Set([uuidv7(5, RANDOM)]);
    for (let digit = 1; digit < 19; digit++) {
      ids.add(uuidv7(5, `${RANDOM.slice(0, digit)}f${RANDOM.slice(digit + 1)}`));
    }
    // The one digit that is an f already.
    assert.equal(ids.size, 18);
    assert.deepEqual(
      new Set(['0', '1', '2', '3'].map((first) => uuidv7(5, `${first}${RANDOM.slice(1)}`).charAt(19))),
      new Set('89ab'),
    );
  });

  test('is a valid one on a clock before 1970 or with fractions', () => {
    assert.equal(uuidv7(-5, RANDOM).slice(0, 13), '00000000-0000');
    assert.equal(uuidv7(1.9, RANDOM), uuidv7(1, RANDOM));
  });

  test('is drawn in the state, another one each time within one millisecond', async (t) => {
    const on = await ledger(t);
    const ids = on(at(7), (tx) => Array.from({ length: 1_000 }, () => newEventId(tx)));
    assert.equal(new Set(ids).size, 1_000);
    for (const id of ids) {
      assert.equal(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16), at(7).wall);
    }
  });

  test('can be drawn where the state can only be read: a direct report needs one, too', async (t) => {
    const on = await ledger(t);
    assert.match(on(at(0), newEventId, false), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });
});
