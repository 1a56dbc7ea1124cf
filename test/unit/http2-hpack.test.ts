import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Code, ConnectionError } from '../../src/portal/http2/errors.ts';
import { Decoder, encodeFields } from '../../src/portal/http2/hpack.ts';
import type { Field } from '../../src/portal/http2/hpack-table.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const decoded = (decoder: Decoder, text: string): Field[] | null => decoder.decode(hex(text), 65_536);
const isMalformed = (error: unknown): boolean =>
  error instanceof ConnectionError && error.code === Code.COMPRESSION_ERROR;

/** A text as its length and letters, not compressed. */
const plain = (text: string): string =>
  Buffer.concat([Buffer.of(text.length), Buffer.from(text, 'latin1')]).toString('hex');

const DATE = 'Mon, 21 Oct 2013 20:13:21 GMT';
const LATER = 'Mon, 21 Oct 2013 20:13:22 GMT';
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';

const FIRST: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const REQUESTS: readonly Field[][] = [
  FIRST,
  [...FIRST, ['cache-control', 'no-cache']],
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
];
const ANSWER: Field[] = [
  ['cache-control', 'private'],
  ['date', DATE],
  ['location', 'https://www.example.com'],
];
const ANSWERS: readonly Field[][] = [
  [[':status', '302'], ...ANSWER],
  [[':status', '307'], ...ANSWER],
  [
    [':status', '200'],
    ['cache-control', 'private'],
    ['date', LATER],
    ['location', 'https://www.example.com'],
    ['content-encoding', 'gzip'],
    ['set-cookie', COOKIE],
  ],
];

describe('of RFC 7541, appendix C', () => {
  test('the numbers of C.1 are decoded', () => {
    // As the sizes of tables: C.1.1 has 10, and C.1.2's 1337 is well below 4,096.
    assert.deepEqual(decoded(new Decoder(), '2a'), []);
    assert.deepEqual(decoded(new Decoder(), '3f9a0a'), []);
    // 4,096, and one more.
    assert.deepEqual(decoded(new Decoder(), '3fe11f'), []);
    assert.throws(() => decoded(new Decoder(), '3fe21f'), isMalformed);
  });

  test('the fields of C.2 are decoded', () => {
    for (const [text, field] of [
      ['400a637573746f6d2d6b65790d637573746f6d2d686561646572', ['custom-key', 'custom-header']],
      ['040c2f73616d706c652f70617468', [':path', '/sample/path']],
      ['100870617373776f726406736563726574', ['password', 'secret']],
      ['82', [':method', 'GET']],
    ] as const) {
      assert.deepEqual(decoded(new Decoder(), text), [field]);
    }
  });

  const sequences: Readonly<Record<string, readonly [blocks: readonly string[], readonly Field[][]]>> = {
    'C.3': [
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      REQUESTS,
    ],
    'C.4, with Huffman codes': [
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      REQUESTS,
    ],
    'C.5, with a table of 256 bytes': [
      [
        `3fe101 48${plain('302')}58${plain('private')}61${plain(DATE)}6e${plain('https://www.example.com')}`,
        '4803 3330 37c1 c0bf',
        `88c1 61${plain(LATER)}c0 5a${plain('gzip')}77${plain(COOKIE)}`,
      ],
      ANSWERS,
    ],
    'C.6, with both': [
      [
        `3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        '4883 640e ffc1 c0bf',
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
      ],
      ANSWERS,
    ],
  };
  for (const [what, [blocks, lists]] of Object.entries(sequences)) {
    test(`${what}: three lists of one connection are decoded`, () => {
      const decoder = new Decoder();
      blocks.forEach((block, i) => {
        assert.deepEqual(decoded(decoder, block), lists[i]);
      });
    });
  }
});

describe('headers', () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) });
  const known = fc.constantFrom(':method', ':scheme', ':path', 'content-type', 'te', 'x-agent-id');
  const field = fc.tuple(fc.oneof(known, text), fc.oneof(fc.constantFrom('POST', 'https', 'trailers'), text));

  test('that are encoded are what they were', () => {
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        assert.deepEqual(new Decoder().decode(encodeFields(fields), Number.POSITIVE_INFINITY), fields);
      }),
    );
    for (const length of [0, 126, 127, 128, 254, 255, 16_510, 60_000]) {
      const long: Field[] = [['x', 'y'.repeat(length)]];
      assert.deepEqual(new Decoder().decode(encodeFields(long), 65_536), long);
    }
  });

  test('that both sides know are told in a byte', () => {
    assert.deepEqual(encodeFields([[':method', 'POST']]), Buffer.of(0x83));
    assert.deepEqual(encodeFields([[':path', '/a']]), hex('04022f61'));
    assert.deepEqual(encodeFields([['content-type', 'x']]), hex('0f100178'));
  });

  test('that are too long are not kept, and what they want remembered is', () => {
    const decoder = new Decoder();
    const fields: Field[] = [
      ['a', 'x'.repeat(200)],
      ['b', 'y'.repeat(30)],
    ];
    const block = Buffer.concat([
      ...fields.map((one) => Buffer.concat([Buffer.of(0x40), encodeFields([one]).subarray(1)])),
    ]);
    assert.equal(decoder.decode(block, 100), null);
    assert.deepEqual(decoder.decode(hex('bebf'), 65_536), fields.toReversed());
    // Exactly as long as they may be, by section 4.1.
    assert.deepEqual(decoder.decode(hex('be'), 63), [fields[1]]);
    assert.equal(decoder.decode(hex('be'), 62), null);
  });

  test('that want more remembered than there is room for are still decoded', () => {
    const decoder = new Decoder();
    const large = encodeFields([['a', 'x'.repeat(5_000)]]);
    decoder.decode(Buffer.concat([Buffer.of(0x40), encodeFields([['k', 'v']]).subarray(1)]), 65_536);
    assert.deepEqual(decoded(decoder, 'be'), [['k', 'v']]);
    decoder.decode(Buffer.concat([Buffer.of(0x40), large.subarray(1)]), 65_536);
    assert.throws(() => decoded(decoder, 'be'), isMalformed, 'the table is empty');
  });

  test('are forgotten where the table is made smaller', () => {
    const decoder = new Decoder();
    decoded(decoder, '4001610162');
    assert.deepEqual(decoded(decoder, '20 3fe11f 82'), [[':method', 'GET']]);
    assert.throws(() => decoded(decoder, 'be'), isMalformed);
  });

  for (const [what, block] of [
    ['that end within a number', '7f'],
    ['that end within a long number', '7f80'],
    ['that end within a name', '4003 6161'],
    ['that end before a value', '4001 61'],
    ['that end within a value', '4001 6105 61'],
    ['with number 0', '80'],
    ['with a number that nothing has', 'be'],
    ['with a name that nothing has', '7e01 61'],
    ['with a number without an end', `7f${'80'.repeat(20)}01`],
    ['with a number that is written in more bytes than any needs', '3f80808080800082'],
    ['with a number of more than 31 bits', '7fffffffff7f'],
    ['with a text of more than 31 bits', '407fffffffff7f'],
    ['with the size of a table after a field', '8220'],
    ['with a table that is too large', '3fe21f'],
    ['with a text that is not well compressed', '40 01 61 81 00'],
  ] as const) {
    test(`${what} are an error of the connection`, () => {
      assert.throws(() => decoded(new Decoder(), block), isMalformed);
    });
  }

  test('of any bytes are fields or such an error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
        const decoder = new Decoder();
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block), 65_536);
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
