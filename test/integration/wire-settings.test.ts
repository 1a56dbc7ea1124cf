import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withCertificates } from './fixture.ts';
import { ask, lineTo, outcome } from './wire-asking.ts';
import { answer, serving } from './wire-servers.ts';

const files = withCertificates();

describe('a portal by node:http2, which looks whether its settings are kept to,', () => {
  // RFC 7541, section 4.2: who encodes must say that the table is smaller, whether or not he uses it.
  for (const headerTableSize of [0, 100, 4_095, 4_096, 65_536]) {
    test(`gets calls where it remembers ${headerTableSize} bytes of headers`, async () => {
      await using server = await serving(files(), (stream) => answer(stream), {
        settings: { headerTableSize },
      });
      using line = lineTo(files(), [server.address]);
      for (let call = 0; call < 3; call++) assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
      assert.equal(server.sessions.length, 1);
    });
  }

  test('gets calls where it remembers less from the second on', async () => {
    await using server = await serving(files(), (stream) => answer(stream));
    using line = lineTo(files(), [server.address]);
    for (const headerTableSize of [4_096, 100, 0, 4_096, 10]) {
      assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
      await new Promise<void>((resolve) =>
        server.sessions[0]?.settings({ headerTableSize }, () => resolve()),
      );
    }
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    assert.equal(server.sessions.length, 1);
  });

  // RFC 9113, section 6.5.3: they hold for it from our acknowledgement on, so that has to come first.
  test('gets the rest of a message once it takes more by a setting', async () => {
    await using server = await serving(
      files(),
      (stream) => {
        stream.session?.settings({ initialWindowSize: 65_535 });
        stream.on('end', () => answer(stream));
      },
      { settings: { initialWindowSize: 3 } },
    );
    using line = lineTo(files(), [server.address]);
    assert.deepEqual(outcome(await ask(line)), ['allowed', true]);
    assert.equal(server.sessions.length, 1);
  });
});
