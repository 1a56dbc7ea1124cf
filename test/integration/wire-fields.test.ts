import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Status } from '../../src/portal/grpc-status.ts';
import type { FailedAttempt } from '../../src/portal/line.ts';
import { withCertificates } from './fixture.ts';
import { ask, lineTo } from './wire-asking.ts';
import { answer, GRPC, serving } from './wire-servers.ts';

const files = withCertificates();

/** Space around a value means nothing; a no-break space, a byte of many letters in UTF-8, is none. */
function bare(text: string): string {
  return text.replace(/^ +| +$/g, '');
}

/** What a header can hold: all that is printed, and the upper half of Latin-1. */
const value = fc
  .string({
    unit: fc
      .oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0xa0, max: 0xff }))
      .map((code) => String.fromCharCode(code)),
    maxLength: 300,
  })
  .map(bare);

describe('over one connection, Node’s HTTP/2 and ours understand each other', () => {
  test('in what a call says', async () => {
    const seen: unknown[] = [];
    await using server = await serving(files(), (stream, headers) => {
      seen.push(headers['x-agent-id']);
      answer(stream);
    });
    using line = lineTo(files(), [server.address]);
    await fc.assert(
      fc.asyncProperty(value, async (text) => {
        await ask(line, { metadata: { 'x-agent-id': text } });
        // Node reads headers as Latin-1.
        assert.equal(seen.pop(), text);
      }),
      { numRuns: 200 },
    );
    assert.equal(server.sessions.length, 1);
  });

  test('in what an answer says, which Node compresses and refers to later', async () => {
    const said: string[] = [];
    await using server = await serving(files(), (stream) => {
      const text = said.at(-1) ?? '';
      stream.respond(
        { ...GRPC, 'grpc-status': '9', 'grpc-message': text, 'x-also': said[0] ?? '' },
        { endStream: true },
      );
    });
    using line = lineTo(files(), [server.address]);
    await fc.assert(
      fc.asyncProperty(value, async (text) => {
        // A message is percent-encoded, which is not this test's.
        said.push(bare(text.replaceAll('%', '')));
        const failure = (await ask(line)) as FailedAttempt;
        assert.equal(failure.code, Status.FAILED_PRECONDITION);
        assert.equal(failure.details, said.at(-1));
      }),
      { numRuns: 300 },
    );
    assert.equal(server.sessions.length, 1);
  });
});
