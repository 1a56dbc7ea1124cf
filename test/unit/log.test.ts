import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { jsonLine, priorityOf, textLine } from '../../src/log/line.ts';

const TIME = new Date(Date.UTC(2026, 10, 23, 9, 20, 0, 7));

/** What a terminal or a log viewer acts on: controls of both blocks, line separators, marks that turn the direction. */
const ACTIVE = /[\p{Cc}\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;

function assertOneHarmlessLine(line: string): void {
  assert.equal(line.at(-1), '\n');
  assert.doesNotMatch(line.slice(0, -1), ACTIVE);
}

/** Text of any characters, with those that do harm more often than chance has it. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom('\n', '\r\n', '\x1b[31m', '\x9b', '\x7f', '\0', '\u2028', '\u2029', '\u202e', '\u200f'),
      fc.constantFrom(
        '"',
        "'",
        '\\',
        '=',
        ' ',
        '" level=error msg="',
        '\ud800',
        '\ufeff',
        '\u2066',
        '\u061c',
      ),
    ),
  )
  .map((parts) => parts.join(''));

describe('a line of JSON', () => {
  test('begins with time, level and message, and goes on with the fields in their order', () => {
    assert.equal(
      jsonLine(TIME, 'info', 'connect allowed', { username: 'alice', allowed: true, routes: [], age: null }),
      '{"time":"2026-11-23T09:20:00.007Z","level":"info","msg":"connect allowed",' +
        '"username":"alice","allowed":true,"routes":[],"age":null}\n',
    );
  });

  test('leaves out what is undefined', () => {
    assert.deepEqual(Object.keys(JSON.parse(jsonLine(TIME, 'warn', 'x', { a: undefined, b: 1 }))), [
      'time',
      'level',
      'msg',
      'b',
    ]);
  });

  test('is one line without any character that a terminal acts on, and reads back as what was said', () => {
    fc.assert(
      fc.property(hostile, hostile, (username, message) => {
        fc.pre(username.length <= 512 && message.length <= 512);
        const line = jsonLine(TIME, 'warn', message, { username, routes: [username] });
        assertOneHarmlessLine(line);
        const read = JSON.parse(line);
        assert.deepEqual([read.username, read.routes, read.msg], [username, [username], message]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('cuts what is too long for a line, and says so', () => {
    const { error, routes } = JSON.parse(
      jsonLine(TIME, 'error', 'x', { error: 'e'.repeat(9_999), routes: ['r'.repeat(9_999)] }),
    );
    assert.equal(error, `${'e'.repeat(512)}…`);
    assert.equal(routes[0].length, 513);
  });
});

describe('a line of text', () => {
  test('has what is a single word as it is, and everything else in quotes', () => {
    const fields = {
      username: 'alice',
      client_ip: 'fe80::1',
      why: 'account locked',
      eq: 'a=b',
      n: 5,
      yes: true,
    };
    assert.equal(
      textLine(TIME, 'warn', 'connect denied', { ...fields, routes: ['10.0.0.0/8', 'x'] }),
      '2026-11-23T09:20:00.007Z WARN  connect denied username=alice client_ip=fe80::1 why="account locked" ' +
        'eq="a=b" n=5 yes=true routes=["10.0.0.0/8","x"]\n',
    );
  });

  test('says first whom it is about, then the rest in the order given', () => {
    const fields = {
      allowed: false,
      reason: 'no',
      client_ip: '192.0.2.1',
      username: 'bob',
      vhost: 'default',
    };
    assert.equal(
      textLine(TIME, 'info', 'connect denied', fields),
      '2026-11-23T09:20:00.007Z INFO  connect denied username=bob client_ip=192.0.2.1 allowed=false reason=no ' +
        'vhost=default\n',
    );
    assert.match(textLine(TIME, 'info', 'x', { why: 'y' }), /INFO {2}x why=y\n$/);
  });

  test('has a table within it flattened, its empty fields left out like any', () => {
    const cache = { state: 'stale', age_seconds: 12.5, by: '', since: null, at: undefined, keys: [] };
    assert.equal(
      textLine(TIME, 'warn', 'x', { cache, breaker: 'open', nothing: {} }),
      '2026-11-23T09:20:00.007Z WARN  x cache.state=stale cache.age_seconds=12.5 breaker=open\n',
    );
  });

  test('leaves out lists without items, and keeps those with any', () => {
    const line = textLine(TIME, 'info', 'x', { routes: [], dns_servers: [''], nets: [[]] });
    assert.equal(line, '2026-11-23T09:20:00.007Z INFO  x dns_servers=[""] nets=[[]]\n');
  });

  test('has neither time nor level for a reader that knows them by itself', () => {
    assert.equal(
      textLine(null, 'error', 'connect denied', { username: 'bob' }),
      'connect denied username=bob\n',
    );
  });

  test('leaves out what is empty, null or undefined', () => {
    const line = textLine(TIME, 'error', 'x', { a: '', b: null, c: undefined, d: 0, e: false });
    assert.equal(line, '2026-11-23T09:20:00.007Z ERROR x d=0 e=false\n');
  });

  test('has no value that could be taken for another field: what is in quotes stays in them', () => {
    const line = textLine(TIME, 'info', 'x', { username: '" allowed=true x="', group: 'a b="c' });
    assert.equal(
      line,
      '2026-11-23T09:20:00.007Z INFO  x username="\\" allowed=true x=\\"" group="a b=\\"c"\n',
    );
  });

  test('is one line without any character that a terminal acts on, and its values read back', () => {
    fc.assert(
      fc.property(hostile, (username) => {
        fc.pre(username.length <= 512 && username !== '');
        const line = textLine(TIME, 'warn', 'connect denied', { username });
        assertOneHarmlessLine(line);
        const value = line.slice(line.indexOf('username=') + 'username='.length, -1);
        assert.equal(value.startsWith('"') ? JSON.parse(value) : value, username);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('the priority of a line', () => {
  test('is what syslog has for its level', () => {
    const levels = ['debug', 'info', 'warn', 'error'] as const;
    assert.deepEqual(levels.map(priorityOf), ['<7>', '<6>', '<4>', '<3>']);
  });
});
