import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';

describe('doctor says of the collector', () => {
  const fixture = withPortal({ default: { allowed: true } });
  const telemetry = (endpoint: string, timeout = '500ms'): { config: string } => ({
    config: `[telemetry]\nendpoint = "${endpoint}"\ntimeout = "${timeout}"\nheaders = { x-key = "secret" }\n`,
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

  test('that it does not answer, without waiting for as long as an export would', async () => {
    await using patient = await Patient.admit(fixture);
    await using collector = await collectorThat(() => {});
    patient.configure(telemetry(collector.endpoint, '30s'));
    await patient.has('warning', 'telemetry', /no answer within 5000 ms \(ETIMEDOUT\)/, /telemetry\.timeout/);
  });

  test('what it says, without the secrets that it repeats', async () => {
    await using patient = await Patient.admit(fixture);
    await using collector = await collectorThat((answer, { headers, url }) =>
      answer(400, JSON.stringify({ url, ...headers })),
    );
    const { host } = new URL(collector.endpoint);
    patient.configure({
      config: `[telemetry]
endpoint = "http://agent:PASSWORD@${host}/v1/metrics?key=QUERYKEY"
headers = { x-token = "Bearer SECRETTOKEN" }
`,
    });
    const { findings } = await patient.has('warning', 'telemetry', /HTTP 400: .*"x-token":"\*\*\*"/, /JSON/);
    const basic = Buffer.from('agent:PASSWORD').toString('base64');
    assert.doesNotMatch(JSON.stringify(findings), new RegExp(`SECRETTOKEN|PASSWORD|QUERYKEY|${basic}`));
  });

  test('that a web server listens there, which answers anything with a page', async () => {
    await using patient = await Patient.admit(fixture);
    await using web = await collectorThat((answer) =>
      answer(200, '<!doctype html><title>Hello</title>', { 'content-type': 'text/html' }),
    );
    patient.configure(telemetry(web.endpoint));
    await patient.has(
      'warning',
      'telemetry',
      /what listens there is no OTLP collector/,
      /telemetry\.endpoint/,
    );
  });

  for (const [what, text, type] of [
    ['with nothing', '', 'application/x-protobuf'],
    ['with JSON that is not called so', '{"partialSuccess":{}}', 'text/plain'],
    ['with much JSON', `{"x":"${'x'.repeat(50_000)}"}`, 'application/json; charset=utf-8'],
  ] as const) {
    test(`that it takes metrics, where it answers ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      await using collector = await collectorThat((answer) => answer(200, text, { 'content-type': type }));
      patient.configure(telemetry(collector.endpoint));
      const { findings } = await patient.examine();
      assert.equal(findings.find(({ check }) => check === 'telemetry')?.level, 'ok');
    });
  }

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
  answers: (
    answer: (status: number, text: string, headers?: OutgoingHttpHeaders) => void,
    request: IncomingMessage,
  ) => void,
): Promise<{ endpoint: string; taken: Taken[] } & AsyncDisposable> {
  const taken: Taken[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      taken.push({ key: request.headers['x-key'], body });
      answers((status, text, headers) => response.writeHead(status, headers).end(text), request);
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
