import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';

describe('doctor says of the collector', () => {
  const fixture = withPortal({ default: { allowed: true } });
  const telemetry = (endpoint: string): { config: string } => ({
    config: `[telemetry]\nendpoint = "${endpoint}"\ntimeout = "500ms"\nheaders = { x-key = "secret" }\n`,
  });

  test('that none listens', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure(telemetry('http://127.0.0.1:1/v1/metrics'));
    await patient.has(
      'warning',
      'telemetry',
      /no collector listens on 127\.0\.0\.1:1/,
      /telemetry\.enabled = false/,
    );
  });

  for (const [status, cure] of [
    [404, /\/v1\/metrics/],
    [401, /telemetry\.headers/],
    [503, /log of the collector/],
    [301, /redirects/],
    [415, /no OTLP as JSON/],
  ] as const) {
    test(`that it answers with ${status}`, async () => {
      await using patient = await Patient.admit(fixture);
      await using collector = await collectorThat((answer) => answer(status, 'in its own words'));
      patient.configure(telemetry(collector.endpoint));
      await patient.has(
        'warning',
        'telemetry',
        new RegExp(`answers with HTTP ${status}: in its own words`),
        cure,
      );
    });
  }

  test('that it does not answer', async () => {
    await using patient = await Patient.admit(fixture);
    await using collector = await collectorThat(() => {});
    patient.configure(telemetry(collector.endpoint));
    await patient.has('warning', 'telemetry', /no answer within 500 ms \(ETIMEDOUT\)/, /telemetry\.timeout/);
  });

  test('that its name cannot be resolved', async () => {
    await using patient = await Patient.admit(fixture);
    patient.configure(telemetry('http://collector.invalid:4318/v1/metrics'));
    await patient.has('warning', 'telemetry', /cannot be reached/, /telemetry\.(endpoint|timeout)/);
  });

  test('that it takes metrics, and sends it none', async () => {
    await using patient = await Patient.admit(fixture);
    await using collector = await collectorThat((answer) => answer(200, '{}'));
    patient.configure(telemetry(collector.endpoint));
    const { code, findings } = await patient.examine();
    assert.equal(code, 0);
    assert.equal(findings.find(({ check }) => check === 'telemetry')?.level, 'ok');
    assert.deepEqual(collector.taken, [{ key: 'secret', body: '{"resourceMetrics":[]}' }]);
  });
});

interface Taken {
  readonly key: unknown;
  readonly body: string;
}

async function collectorThat(
  answers: (answer: (status: number, text: string) => void) => void,
): Promise<{ endpoint: string; taken: Taken[] } & AsyncDisposable> {
  const taken: Taken[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      taken.push({ key: request.headers['x-key'], body });
      answers((status, text) => response.writeHead(status).end(text));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${port}/v1/metrics`,
    taken,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
