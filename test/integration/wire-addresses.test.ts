import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { listening } from './doctor-servers.ts';
import { withCertificates } from './fixture.ts';
import { type Answers, ask, lineTo, outcome } from './wire-asking.ts';
import { answer, overTls, parsed, serving } from './wire-servers.ts';

const files = withCertificates();

describe('of several addresses', () => {
  test('the next is called where one refuses, is silent, or speaks something else', async () => {
    await using mute = await listening(createServer(() => {}));
    await using other = await overTls(files(), () => {}, {});
    await using server = await serving(files(), (stream) => answer(stream));
    const addresses = [{ host: '127.0.0.1', port: 1 }, parsed(mute.address), other.address, server.address];
    using line = lineTo(files(), addresses);
    assert.deepEqual(outcome(await ask(line, { budget: 2_000 })), ['allowed', true]);
    assert.deepEqual(outcome(await ask(line, { budget: 200 })), ['allowed', true], 'it is known now');
    assert.equal(server.sessions.length, 1);
  });

  test('a lost call is asked again at the next, once', async () => {
    const lose: Answers = (stream) => stream.close(0x7);
    await using first = await serving(files(), lose);
    await using second = await serving(files(), lose);
    await using third = await serving(files(), (stream) => answer(stream));
    using line = lineTo(files(), [first.address, second.address, third.address]);
    const failure = (await ask(line, { retries: 1 })) as FailedAttempt;
    assert.deepEqual([failure.code, failure.address], [Status.UNAVAILABLE, second.address]);
    assert.deepEqual(
      [first, second, third].map(({ streams }) => streams.length),
      [1, 1, 0],
    );
  });

  test('a failure that is none of the connection is not asked again', async () => {
    await using server = await serving(files(), (stream) => stream.close(0x2));
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line, { retries: 1 })), [Status.INTERNAL, true]);
    assert.equal(server.streams.length, 1);
  });
});
