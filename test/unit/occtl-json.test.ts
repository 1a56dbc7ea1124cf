import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseOcctl } from '../../src/ocserv/occtl-json.ts';
import { SHOW_SESSIONS_ALL, SHOW_USERS } from './occtl-samples.ts';

describe("occtl's JSON", () => {
  test('is read as it is, where it is JSON', () => {
    assert.deepEqual(parseOcctl(SHOW_USERS), JSON.parse(SHOW_USERS));
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(parseOcctl(text), JSON.parse(text));
      }),
    );
  });

  test('may have a comma before a bracket, as 1.1.6 prints it', () => {
    assert.ok(SHOW_SESSIONS_ALL.includes('"in_use":  1,\n  }'), 'the sample has one');
    const [session, ...others] = parseOcctl(SHOW_SESSIONS_ALL) as Record<string, unknown>[];
    assert.deepEqual(others, []);
    assert.partialDeepStrictEqual(session, {
      'Full session': 'j/ZFtnBH/r+RS2vuSmc4ulGX+hQ=',
      'User-Agent': 'Open AnyConnect VPN Agent v9.01-3',
      in_use: 1,
    });
    assert.deepEqual(parseOcctl('[{"a":1,},{"b":[1,2,\n],\t},]'), [{ a: 1 }, { b: [1, 2] }]);
  });

  test('keeps such a comma inside of a text, where it belongs to a name', () => {
    for (const name of [',}', ',]', 'x, ]', ',\\"}', '\\\\', '\\",]', '']) {
      assert.deepEqual(parseOcctl(`[{"n":"${name}",},]`), [{ n: JSON.parse(`"${name}"`) }]);
    }
  });

  test('may have control characters in a text, which are kept', () => {
    const controls = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('');
    assert.deepEqual(parseOcctl(`[{"n":"a${controls}b"}]`), [{ n: `a${controls}b` }]);
    assert.deepEqual(parseOcctl('[{"n":"a\tb,}",\n}]'), [{ n: 'a\tb,}' }]);
  });

  test('reads any texts back, whatever is broken around and in them', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab,]}[{":\\\n\t\u0000ÿ💥 '), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(text), (texts) => {
        // What a printer makes of it that escapes quotes and backslashes only.
        const raw = texts.map((one) => `"${one.replace(/["\\]/g, '\\$&')}"`);
        assert.deepEqual(parseOcctl(`[${raw.map((one) => `${one},\n`).join('')}]`), texts);
      }),
      { numRuns: 500 },
    );
  });

  test('may repeat a key: the last one counts', () => {
    assert.deepEqual(parseOcctl('[{"ID":1,"IPv4":"a","IPv4":"b",}]'), [{ ID: 1, IPv4: 'b' }]);
  });

  test('is refused where it is anything else: nothing is guessed', () => {
    for (const garbage of [
      '',
      'No users connected',
      '[',
      SHOW_USERS.slice(0, -10),
      '[{"a":1,,}]',
      '[,]x',
      '[{"a" 1}]',
      "[{'a':1}]",
      '[{"a":"\\x41"}]',
      '[{"a":"b}]',
      '[{"a":1}{"b":2}]',
      '[NaN]',
      '\u0000[]',
    ]) {
      assert.throws(() => parseOcctl(garbage), SyntaxError, JSON.stringify(garbage));
    }
  });

  test('is refused in time, however broken it is', () => {
    const began = performance.now();
    assert.throws(() => parseOcctl(`[{"a":"${'\\'.repeat(200_001)}`), SyntaxError);
    assert.throws(() => parseOcctl(`[${', '.repeat(100_000)}`), SyntaxError);
    assert.ok(performance.now() - began < 5_000);
  });
});
