import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Status } from '../../src/portal/grpc-status.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import { answer, serving } from './wire-servers.ts';

const files = withCertificates();

describe('many calls at once', () => {
  test('go over one connection', async () => {
    await using server = await serving(files(), async (stream) => {
      await sleep(20);
      answer(stream);
    });
    using line = lineTo(files(), [server.address]);
    const asked = Array.from({ length: 100 }, () => ask(line));
    for (const attempt of await Promise.all(asked)) assert.deepEqual(outcome(attempt), ['allowed', true]);
    assert.equal(server.sessions.length, 1);
  });

  test('are no more than the portal takes, the first with the rest', async () => {
    let [now, most] = [0, 0];
    await using server = await serving(
      files(),
      async (stream) => {
        most = Math.max(most, ++now);
        await sleep(20);
        now--;
        answer(stream);
      },
      { settings: { maxConcurrentStreams: 1 } },
    );
    using line = lineTo(files(), [server.address]);
    const asked = Array.from({ length: 6 }, () => ask(line));
    for (const attempt of await Promise.all(asked)) assert.deepEqual(outcome(attempt), ['allowed', true]);
    assert.equal(most, 1);
  });

  test('that wait for their turn are lost with the connection, and each by its own deadline', async () => {
    await using server = await serving(files(), () => {}, { settings: { maxConcurrentStreams: 1 } });
    using line = lineTo(files(), [server.address]);
    const first = ask(line);
    const late = ask(line, { budget: 300 });
    const third = ask(line);
    assert.deepEqual(outcome(await late), [Status.DEADLINE_EXCEEDED, true]);
    server.sessions[0]?.socket.destroy();
    for (const lost of await Promise.all([first, third])) {
      assert.deepEqual(outcome(lost), [Status.UNAVAILABLE, true]);
    }
  });
});
