import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Code, StreamError } from '../../src/portal/http2/errors.ts';
import { fieldsOf, headersOf } from '../../src/portal/http2/fields.ts';
import type { Field } from '../../src/portal/http2/hpack-table.ts';

describe('what a request says', () => {
  test('begins with what makes it one', () => {
    assert.deepEqual(fieldsOf({ te: 'trailers', ':path': '/a', ':method': 'POST', x: 'y' }), [
      [':method', 'POST'],
      [':path', '/a'],
      ['te', 'trailers'],
      ['x', 'y'],
    ]);
  });

  test('has no space around it', () => {
    assert.deepEqual(fieldsOf({ a: '  b c ', b: ' ' }), [
      ['a', 'b c'],
      ['b', ''],
    ]);
  });

  for (const name of ['', ':other', ':status', 'X', 'a b', 'a:', 'a\n', 'ä', 'connection', 'upgrade']) {
    test(`is refused under the name ${JSON.stringify(name)}`, () => {
      assert.throws(() => fieldsOf({ [name]: 'x' }), TypeError);
    });
  }

  for (const value of ['\n', 'a\r\nb: c', '\0', '\x7f', '\x1f', 'ł', '😀']) {
    test(`is refused where it is ${JSON.stringify(value)}`, () => {
      assert.throws(() => fieldsOf({ x: `a${value}b` }), TypeError);
      assert.throws(() => fieldsOf({ ':path': `/${value}` }), TypeError);
    });
  }
});

describe('what an answer says', () => {
  const OK: Field = [':status', '200'];
  const fails = (error: unknown): boolean =>
    error instanceof StreamError && error.code === Code.PROTOCOL_ERROR;

  test('is its headers, several of one name joined by commas', () => {
    const headers = headersOf([OK, ['a', '1'], ['b', ' x\t'], ['a', '2'], ['a', 'ä']], false);
    assert.deepEqual({ ...headers }, { ':status': 200, a: '1, 2, ä', b: 'x' });
  });

  test('is the first of what can be said once', () => {
    const twice: Field[] = [OK, ['content-type', 'application/grpc'], ['content-type', 'text/html']];
    assert.equal(headersOf(twice, false)['content-type'], 'application/grpc');
  });

  test('has no other headers, whatever they are called', () => {
    const headers = headersOf([['__proto__', 'x']], true);
    assert.equal(headers['constructor'], undefined);
    assert.deepEqual(Object.entries(headers), [['__proto__', 'x']]);
  });

  const malformed: Readonly<Record<string, readonly Field[]>> = {
    'without a status': [['a', 'b']],
    'with two': [OK, OK],
    'with a status after the rest': [['a', 'b'], OK],
    'with a status in words': [[':status', 'OK']],
    'with a status of four digits': [[':status', '2000']],
    'with a status below 100': [[':status', '099']],
    'with what belongs to requests': [OK, [':path', '/']],
    'with upper case': [OK, ['Content-Type', 'x']],
    'with a name of nothing': [OK, ['', 'x']],
    'with a name with a space': [OK, ['a b', 'x']],
    'with a line feed': [OK, ['a', 'b\nc']],
    'with a zero': [OK, ['a', '\0']],
    'with a word for a connection of HTTP/1': [OK, ['connection', 'close']],
  };
  for (const [what, fields] of Object.entries(malformed)) {
    test(`${what} is malformed`, () => {
      assert.throws(() => headersOf(fields, false), fails);
    });
  }

  test('after the message has no status', () => {
    assert.deepEqual({ ...headersOf([['grpc-status', '0']], true) }, { 'grpc-status': '0' });
    assert.throws(() => headersOf([OK], true), fails);
  });
});
