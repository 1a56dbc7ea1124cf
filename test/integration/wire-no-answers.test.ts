import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { framed } from '../../src/portal/message.ts';
import { withCertificates } from './fixture.ts';
import { type Answers, ask, failureFrom, lineTo, outcome } from './wire-asking.ts';
import { ALLOWED, answer, closed, GRPC, serving } from './wire-servers.ts';

const files = withCertificates();

describe('no answer is made of', () => {
  const none = { body: null } as const;
  const cases: Readonly<Record<string, readonly [Answers, code: number, details: RegExp]>> = {
    'an error in trailers alone': [
      (stream) => stream.respond({ ...GRPC, 'grpc-status': '7', 'grpc-message': 'no' }, { endStream: true }),
      Status.PERMISSION_DENIED,
      /^no$/,
    ],
    'an error after a message that lets in': [
      (stream) => answer(stream, { trailers: { 'grpc-status': '13', 'grpc-message': 'oh' } }),
      Status.INTERNAL,
      /^oh$/,
    ],
    'an error whose text is encoded': [
      (stream) => answer(stream, { trailers: { 'grpc-status': '9', 'grpc-message': 'J%C3%B6rg 100%25' } }),
      Status.FAILED_PRECONDITION,
      /^Jörg 100%$/,
    ],
    'an error whose text is hostile': [
      (stream) => answer(stream, { trailers: { 'grpc-status': '9', 'grpc-message': '%FF%0a%zz%' } }),
      Status.FAILED_PRECONDITION,
      /^\ufffd\n%zz%$/,
    ],
    'OK in trailers alone': [
      (stream) => stream.respond({ ...GRPC, 'grpc-status': '0' }, { endStream: true }),
      Status.UNIMPLEMENTED,
      /sent no message/,
    ],
    'OK without a message': [(stream) => answer(stream, none), Status.UNIMPLEMENTED, /sent no message/],
    'OK with two messages': [
      (stream) => answer(stream, { body: Buffer.concat([ALLOWED, ALLOWED]) }),
      Status.UNIMPLEMENTED,
      /more than one/,
    ],
    'OK with a part of a message': [
      (stream) => answer(stream, { body: ALLOWED.subarray(0, -1) }),
      Status.INTERNAL,
      /not whole/,
    ],
    'OK with a message that is marked as compressed and is not': [
      (stream) => answer(stream, { body: Buffer.concat([Uint8Array.of(1), ALLOWED.subarray(1)]) }),
      Status.INTERNAL,
      /cannot be decompressed/,
    ],
    'OK with a message that is larger than it may be': [
      (stream) => answer(stream, { body: framed(new Uint8Array(4 * 1024 * 1024 + 1)) }),
      Status.RESOURCE_EXHAUSTED,
      /larger than 4 MiB/,
    ],
    'OK with what is no such message': [
      (stream) => answer(stream, { body: framed(Uint8Array.of(8, 1, 0x12, 0xff, 0xff)) }),
      Status.INTERNAL,
      /cannot be read/,
    ],
    'a message and no trailers': [
      (stream) => answer(stream, { trailers: null }),
      Status.UNKNOWN,
      /without a grpc-status/,
    ],
    'a message and OK before it': [
      (stream) => answer(stream, { headers: { ...GRPC, 'grpc-status': '0' }, trailers: null }),
      Status.UNKNOWN,
      /without a grpc-status/,
    ],
    'a message and trailers that do not say OK': [
      (stream) => answer(stream, { trailers: { 'x-other': '0' } }),
      Status.UNKNOWN,
      /without a grpc-status/,
    ],
    'a status in words': [
      (stream) => answer(stream, { trailers: { 'grpc-status': 'OK' } }),
      Status.UNKNOWN,
      /no number: OK/,
    ],
    'a page': [
      (stream) => answer(stream, { headers: { ':status': 200, 'content-type': 'text/html' } }),
      Status.UNKNOWN,
      /HTTP status 200, content-type text\/html/,
    ],
    'a page that says that there is none': [
      (stream) =>
        answer(stream, { headers: { ':status': 404, 'content-type': 'text/html' }, trailers: null }),
      Status.UNIMPLEMENTED,
      /HTTP status 404/,
    ],
    'a proxy that finds nobody': [
      (stream) => stream.respond({ ':status': 503 }, { endStream: true }),
      Status.UNAVAILABLE,
      /HTTP status 503, no content-type/,
    ],
    'HTTP 403 with OK': [
      (stream) => answer(stream, { headers: { ...GRPC, ':status': 403 } }),
      Status.PERMISSION_DENIED,
      /HTTP status 403/,
    ],
  };
  for (const [what, [answers, code, details]] of Object.entries(cases)) {
    test(what, async () => {
      const failure = await failureFrom(files(), answers);
      assert.equal(failure.code, code);
      assert.match(failure.details, details);
      assert.deepEqual([failure.reached, failure.everReached, failure.fault], [true, true, null]);
    });
  }
});

test('a message without an end is not listened to for longer than a message may be', async () => {
  await using server = await serving(files(), (stream) => {
    stream.respond(GRPC);
    stream.write(Buffer.alloc(5 * 1024 * 1024));
  });
  using line = lineTo(files(), [server.address]);
  const failure = (await ask(line)) as FailedAttempt;
  assert.deepEqual(outcome(failure), [Status.RESOURCE_EXHAUSTED, true]);
  const [stream] = server.streams;
  assert.ok(stream);
  await closed(stream);
  assert.equal(stream.rstCode, 8);
});
