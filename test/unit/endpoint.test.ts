import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isEndpoint, isHeader, shownUrl } from '../../src/config/endpoint.ts';

describe('a collector’s address', () => {
  test('shows nothing that may be a secret', () => {
    const shown: Readonly<Record<string, string>> = {
      'http://127.0.0.1:4318/v1/metrics': 'http://127.0.0.1:4318/v1/metrics',
      'http://bob:hun@ter2@host:1/x': 'http://***@host:1/x',
      'https://token@host/': 'https://***@host/',
      'https://host/v1?api-key=KEY': 'https://host/v1?***',
      'https://host/v1#KEY': 'https://host/v1?***',
      'http://[2001:db8::1]:4318/': 'http://[2001:db8::1]:4318/',
    };
    for (const [url, expected] of Object.entries(shown)) assert.equal(shownUrl(url), expected);
  });

  test('is a URL that can be called', () => {
    for (const url of ['http://h/x', 'https://a:b%20c@h:1/']) assert.ok(isEndpoint(url), url);
    for (const url of ['h:4318', 'ftp://h/', 'http://', 'http://[bad/', 'http://a:50%@h/', 'http://h:x/']) {
      assert.ok(!isEndpoint(url), url);
    }
  });
});

describe('a header', () => {
  test('is what HTTP takes as one', () => {
    for (const [name, value] of [
      ['authorization', 'Bearer x=/+'],
      ['x-scope-orgid', ''],
      ['X', 'a\tb'],
    ] as const) {
      assert.ok(isHeader(name, value), name);
    }
    for (const [name, value] of [
      ['x y', 'v'],
      ['', 'v'],
      ['x:', 'v'],
      ['x', 'a\nb'],
      ['x', 'a\r\nInjected: b'],
      ['x', 'a\0b'],
      ['x', '€'],
    ] as const) {
      assert.ok(!isHeader(name, value), `${name}: ${value}`);
    }
  });
});
