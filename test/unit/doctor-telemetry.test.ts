import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConfig } from '../../src/config/read.ts';
import type { Config } from '../../src/config/schema.ts';
import { withoutSecrets } from '../../src/doctor/secrets.ts';
import { judgeTelemetry } from '../../src/doctor/telemetry.ts';

function telemetryOf(given: Record<string, unknown>): Config['telemetry'] {
  const { config } = readConfig({ agent_id: 'a', portal: { address: 'x:1' }, telemetry: given });
  assert.ok(config !== null);
  return config.telemetry;
}

describe('that nobody listens where a collector is looked for', () => {
  const refused = { error: 'connect ECONNREFUSED', code: 'ECONNREFUSED' };
  const { endpoint } = telemetryOf({});

  for (const [what, where, lastExport, level] of [
    ['is worth a note where none was named, and none ever took anything', endpoint, null, 'note'],
    ['is a warning where one took metrics before', endpoint, 1, 'warning'],
    ['is a warning where it cannot be seen whether one did', endpoint, undefined, 'warning'],
    ['is a warning where one was named', 'http://collector.example.net:4318/v1/metrics', null, 'warning'],
  ] as const) {
    test(what, () => assert.equal(judgeTelemetry(where, refused, lastExport)[0]?.level, level));
  }
});

test("what is said of a collector does not show its URL's secrets", () => {
  const endpoint = 'https://me:PASSWORD@c.example.net/v1/metrics?key=QUERYKEY';
  for (const answer of [
    { status: 500, said: '', isOtlp: true },
    { status: 200, said: '', isOtlp: true },
    { status: 200, said: '', isOtlp: false },
    { error: 'x', code: 'ETIMEDOUT' },
    { error: 'x', code: 'ECONNREFUSED' },
  ]) {
    const said = JSON.stringify(judgeTelemetry(endpoint, answer, 1));
    assert.match(said, /c\.example\.net/);
    assert.doesNotMatch(said, /PASSWORD|QUERYKEY/);
  }
});

describe('of what a server says is struck', () => {
  const strike = withoutSecrets(
    telemetryOf({
      endpoint: 'http://agent:p%40ssword@127.0.0.1:4318/v1/metrics?key=QUERYKEY',
      headers: {
        authorization: 'Bearer SECRETTOKEN',
        'x-old': `Basic ${Buffer.from('user:OLDPASS').toString('base64')}`,
        'x-quoted': 'say "KEY" twice',
        'x-pair': 'Token token=PAIRED',
        'x-org': '1',
      },
    }),
  );

  for (const secret of [
    'Bearer SECRETTOKEN',
    'SECRETTOKEN',
    'p%40ssword',
    'p@ssword',
    Buffer.from('agent:p@ssword').toString('base64'),
    'OLDPASS',
    'user:OLDPASS',
    'QUERYKEY',
    'PAIRED',
    JSON.stringify('say "KEY" twice').slice(1, -1),
  ]) {
    test(secret, () => assert.equal(strike(`got <${secret}> of you`, true), 'got <***> of you'));
  }

  test('nothing that is too short to be a secret', () => {
    assert.equal(strike('HTTP 1.1: Bearer wanted', true), 'HTTP 1.1: Bearer wanted');
  });

  test('the beginning of a secret, where the text was cut', () => {
    assert.doesNotMatch(strike(`${'x'.repeat(200)} SECRETTOK`, false), /SECRET/);
  });
});
