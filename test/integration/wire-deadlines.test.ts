import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { withCertificates } from './fixture.ts';
import { ask, failureFrom, lineTo, outcome } from './wire-asking.ts';
import { ALLOWED, closed, GRPC, serving } from './wire-servers.ts';

const files = withCertificates();

describe('a call that takes too long', () => {
  test('is cancelled, and the portal told so; the connection stands', async () => {
    await using server = await serving(files(), () => {});
    using line = lineTo(files(), [server.address]);
    const failure = (await ask(line, { budget: 200 })) as FailedAttempt;
    assert.deepEqual(outcome(failure), [Status.DEADLINE_EXCEEDED, true]);
    // A timer counts from the beginning of the event loop's turn that it was set in.
    assert.match(failure.details, /no answer from 127\.0\.0\.1:\d+ within [12]\d\d ms/);
    const [stream] = server.streams;
    assert.ok(stream);
    await closed(stream);
    assert.equal(stream.rstCode, 8);
    assert.equal(line.stands, true);
  });

  test('is cancelled where its own message is not taken', async () => {
    const ways = { settings: { initialWindowSize: 0 } };
    const failure = await failureFrom(files(), () => {}, ways, 300);
    assert.equal(failure.code, Status.DEADLINE_EXCEEDED);
  });

  test('is not waited for where the portal has answered without its message', async () => {
    const since = performance.now();
    const failure = await failureFrom(
      files(),
      (stream) => stream.respond({ ...GRPC, 'grpc-status': '8' }, { endStream: true }),
      { settings: { initialWindowSize: 0 } },
    );
    assert.equal(failure.code, Status.RESOURCE_EXHAUSTED);
    assert.ok(performance.now() - since < 3_000);
  });

  test('is cancelled where the answer stops in the middle', async () => {
    const failure = await failureFrom(
      files(),
      (stream) => {
        stream.respond(GRPC);
        stream.write(ALLOWED);
      },
      {},
      300,
    );
    assert.deepEqual([failure.code, failure.reached], [Status.DEADLINE_EXCEEDED, true]);
  });
});
