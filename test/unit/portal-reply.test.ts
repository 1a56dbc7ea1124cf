import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { status as grpcJs } from '@grpc/grpc-js';
import fc from 'fast-check';
import { Status, statusName } from '../../src/portal/grpc-status.ts';
import type { Headers } from '../../src/portal/http2/fields.ts';
import { MAX_MESSAGE_BYTES, type Read } from '../../src/portal/message.ts';
import { judge, messageOf, ofHttpStatus, ofReset, type Reply } from '../../src/portal/reply.ts';

const MESSAGE = Uint8Array.of(8, 1);
const ONE: Read = { kind: 'one', message: MESSAGE };
const GRPC: Headers = { ':status': 200, 'content-type': 'application/grpc' };
const OK: Headers = { 'grpc-status': '0' };

const reply = (rest: Partial<Reply>): Reply => ({ headers: GRPC, trailers: OK, read: ONE, ...rest });
/** The trailers are the answer's headers. */
const trailersOnly = (headers: Headers, read: Read = { kind: 'none' }): Reply =>
  reply({ headers: { ...GRPC, ...headers }, trailers: { ...GRPC, ...headers }, read });

function codeOf(given: Reply): number {
  const judged = judge(given);
  assert.ok('code' in judged, 'it is an answer');
  return judged.code;
}

test('the statuses are called as grpc-js calls them', () => {
  for (const [name, code] of Object.entries(Status)) {
    assert.equal(grpcJs[code], name);
    assert.equal(statusName(code), name);
  }
  assert.equal(Object.keys(Status).length, 17);
  for (const code of [17, -1, 0.5]) assert.equal(statusName(code), undefined);
});

describe('what came over a stream', () => {
  test('is an answer where all of it is there', () => {
    assert.deepEqual(judge(reply({})), { message: MESSAGE });
    for (const type of ['application/grpc+proto', 'application/grpc;charset=utf-8', 'Application/gRPC']) {
      assert.ok('message' in judge(reply({ headers: { ...GRPC, 'content-type': type } })), type);
    }
  });

  test('is none where the portal names another status, with what it says of it', () => {
    for (const code of [...Array.from({ length: 16 }, (_, i) => i + 1), 17, 99]) {
      const trailers = { 'grpc-status': `${code}`, 'grpc-message': 'so%20it is' };
      assert.deepEqual(judge(reply({ trailers })), { code, details: 'so it is' });
      assert.deepEqual(judge(trailersOnly(trailers)), { code, details: 'so it is' });
      assert.equal(codeOf(reply({ trailers, read: { kind: 'several' } })), code);
    }
  });

  test('is UNKNOWN where the status is no number', () => {
    for (const told of ['', '00', '0, 0', '-0', '+0', ' 0', '0x0', 'OK', '0.0', '1e1', '9999999999', '٠']) {
      assert.equal(codeOf(reply({ trailers: { 'grpc-status': told } })), Status.UNKNOWN, told);
    }
    assert.equal(codeOf(reply({ trailers: { 'grpc-status': 0 } })), Status.UNKNOWN);
  });

  test('is no answer without trailers, whatever the headers say; they may say an error', () => {
    assert.equal(codeOf(reply({ trailers: null })), Status.UNKNOWN);
    assert.equal(codeOf(reply({ trailers: {} })), Status.UNKNOWN);
    assert.equal(codeOf(reply({ headers: { ...GRPC, ...OK }, trailers: null })), Status.UNKNOWN);
    assert.equal(
      codeOf(reply({ headers: { ...GRPC, 'grpc-status': '7' }, trailers: null })),
      Status.PERMISSION_DENIED,
    );
  });

  test('is no answer where it is not of gRPC, whatever status it names', () => {
    for (const type of ['text/html', 'application/grpcfoo', 'application/grpc-web', 'application/json', '']) {
      const headers = { ...GRPC, 'content-type': type };
      assert.equal(codeOf(reply({ headers })), Status.UNKNOWN, type);
      assert.equal(codeOf(reply({ headers, trailers: { 'grpc-status': '3' } })), Status.UNKNOWN, type);
    }
    assert.equal(codeOf(reply({ headers: { ':status': 200 } })), Status.UNKNOWN);
    const refused = judge(trailersOnly({ ':status': 503, 'content-type': 'text/html' }));
    assert.deepEqual(refused, {
      code: Status.UNAVAILABLE,
      details: 'not an answer of gRPC: HTTP status 503, content-type text/html',
    });
  });

  test('goes by its HTTP status where it is not 200 and names no error of gRPC', () => {
    for (const [http, code] of [
      [400, Status.INTERNAL],
      [401, Status.UNAUTHENTICATED],
      [403, Status.PERMISSION_DENIED],
      [404, Status.UNIMPLEMENTED],
      [429, Status.UNAVAILABLE],
      [502, Status.UNAVAILABLE],
      [503, Status.UNAVAILABLE],
      [504, Status.UNAVAILABLE],
      [200, Status.UNKNOWN],
      [204, Status.UNKNOWN],
      [302, Status.UNKNOWN],
      [500, Status.UNKNOWN],
      [Number.NaN, Status.UNKNOWN],
    ] as const) {
      assert.equal(ofHttpStatus(http), code, `${http}`);
      if (http === 200) continue;
      const headers = { ...GRPC, ':status': http };
      assert.equal(codeOf(reply({ headers })), code, `${http} with grpc-status 0`);
      assert.equal(codeOf(reply({ headers, trailers: {} })), code, `${http} without a grpc-status`);
      assert.equal(codeOf(reply({ headers, trailers: { 'grpc-status': '5' } })), Status.NOT_FOUND, `${http}`);
    }
  });

  test('is no answer without exactly one whole message', () => {
    for (const [kind, code] of [
      ['none', Status.UNIMPLEMENTED],
      ['several', Status.UNIMPLEMENTED],
      ['truncated', Status.INTERNAL],
      ['garbled', Status.INTERNAL],
      ['too large', Status.RESOURCE_EXHAUSTED],
    ] as const) {
      assert.equal(codeOf(reply({ read: { kind } })), code, kind);
    }
    assert.equal(codeOf(trailersOnly(OK)), Status.UNIMPLEMENTED);
  });

  test('may be compressed as the header says, and may not be more than a message may', () => {
    const compressed = (message: Uint8Array, encoding?: string): Reply =>
      reply({ headers: { ...GRPC, 'grpc-encoding': encoding }, read: { kind: 'compressed', message } });
    const read = judge(compressed(gzipSync(MESSAGE), 'gzip'));
    assert.deepEqual('message' in read && [...read.message], [...MESSAGE]);
    assert.ok('message' in judge(compressed(deflateSync(MESSAGE), 'deflate')));
    assert.ok('message' in judge(compressed(gzipSync(Buffer.alloc(MAX_MESSAGE_BYTES)), 'gzip')));
    const bomb = gzipSync(Buffer.alloc(MAX_MESSAGE_BYTES + 1));
    assert.equal(codeOf(compressed(bomb, 'gzip')), Status.RESOURCE_EXHAUSTED);
    for (const encoding of [undefined, 'identity', 'snappy', 'deflate', 'GZIP']) {
      assert.equal(codeOf(compressed(gzipSync(MESSAGE), encoding)), Status.INTERNAL, encoding);
      if (encoding === 'deflate') continue;
      assert.equal(codeOf(compressed(deflateSync(MESSAGE), encoding)), Status.INTERNAL, encoding);
    }
    assert.equal(codeOf(compressed(MESSAGE, 'gzip')), Status.INTERNAL);
    assert.equal(codeOf(compressed(gzipSync(MESSAGE).subarray(0, -3), 'gzip')), Status.INTERNAL);
  });

  test('is nothing where no headers came', () => {
    assert.equal(codeOf(reply({ headers: null })), Status.INTERNAL);
    assert.equal(codeOf(reply({ headers: null, trailers: null, read: { kind: 'none' } })), Status.INTERNAL);
  });

  test('is an answer only with HTTP 200, gRPC’s content type, status 0 in trailers and one message', () => {
    const told = fc.option(fc.constantFrom('0', '1', '3', '14', 'x', ''), { nil: undefined });
    const headersOf = fc.record({
      ':status': fc.constantFrom(200, 204, 404, 503),
      'content-type': fc.constantFrom('application/grpc', 'application/grpc+proto', 'text/html', undefined),
      'grpc-status': told,
    });
    const kinds = ['none', 'several', 'truncated', 'garbled', 'too large'] as const;
    const read = fc.constantFrom<Read>(ONE, ...kinds.map((kind) => ({ kind })));
    const trailersOf = fc.option(fc.record({ 'grpc-status': told }));
    fc.assert(
      fc.property(fc.option(headersOf), trailersOf, read, (headers, trailers, what) => {
        const whole =
          headers?.[':status'] === 200 &&
          headers['content-type']?.startsWith('application/grpc') === true &&
          trailers?.['grpc-status'] === '0' &&
          what.kind === 'one';
        const judged = judge({ headers, trailers, read: what });
        assert.equal('message' in judged, whole);
        if ('code' in judged) assert.notEqual(judged.code, Status.OK);
      }),
      { numRuns: 3_000 },
    );
  });
});

test('a stream that was reset failed as the specification says', () => {
  for (const [code, status] of [
    [0x7, Status.UNAVAILABLE],
    [0x8, Status.CANCELLED],
    [0xb, Status.RESOURCE_EXHAUSTED],
    [0xc, Status.PERMISSION_DENIED],
    ...[0x0, 0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x9, 0xa, 0xd, 0xff].map((one) => [one, Status.INTERNAL] as const),
  ] as const) {
    assert.equal(ofReset(code).code, status, `${code}`);
  }
});

describe('what a portal says of a status', () => {
  test('is read as it was meant', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const told = [...Buffer.from(text)]
          .map((byte) =>
            byte >= 0x20 && byte <= 0x7e && byte !== 0x25
              ? String.fromCharCode(byte)
              : `%${byte.toString(16).padStart(2, '0')}`,
          )
          .join('');
        assert.equal(messageOf(told), text);
      }),
    );
  });

  test('is shown as it came where it is not well encoded, and never an exception', () => {
    assert.equal(messageOf('100%'), '100%');
    assert.equal(messageOf('%zz%4'), '%zz%4');
    assert.equal(messageOf('%E4%B8'), '\ufffd');
    assert.equal(messageOf('%ff'), '\ufffd');
    assert.equal(messageOf('%2541'), '%41');
    assert.equal(messageOf(undefined), '');
    fc.assert(fc.property(fc.string(), (text) => typeof messageOf(text) === 'string'));
  });
});
