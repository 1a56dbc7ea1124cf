import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Config } from '../config/schema.ts';
import { type Finding, note, ok, warning } from './finding.ts';

/** OTLP/HTTP's request without any metric in it: a collector takes it, and nothing is stored. */
const NOTHING = JSON.stringify({ resourceMetrics: [] });

type Answer = { readonly status: number; readonly said: string } | { readonly error: NodeJS.ErrnoException };

/** Whether the collector takes what is exported. It never decides a connect, so nothing here is broken. */
export async function checkTelemetry({ telemetry }: Config): Promise<Finding[]> {
  const check = 'telemetry';
  if (!telemetry.enabled) return [ok(check, 'telemetry.enabled = false')];
  const url = new URL(telemetry.endpoint);
  const answer = await post(url, telemetry.headers, telemetry.timeout);
  const where = `${url.protocol}//${url.host}${url.pathname}`;
  const why =
    'the metrics do not arrive; they are cumulative, so that nothing is lost, and no connect depends on them';
  if ('error' in answer) {
    const { code, message } = answer.error;
    if (code === 'ECONNREFUSED') {
      const cure = 'start a collector (OpenTelemetry Collector, port 4318), or set telemetry.enabled = false';
      return [warning(check, `no collector listens on ${url.host} (ECONNREFUSED)`, why, cure)];
    }
    const what = `${where} cannot be reached: ${message}${code === undefined ? '' : ` (${code})`}`;
    return [warning(check, what, why, cureOf(code))];
  }
  const { status, said } = answer;
  if (status >= 200 && status < 300) return [ok(check, `${where} takes metrics (HTTP ${status})`)];
  const what = `${where} answers with HTTP ${status}${said === '' ? '' : `: ${said}`}`;
  if (status === 429) return [note(check, what, why, 'none is needed, unless it goes on: it is tried again')];
  return [warning(check, what, why, cureOfStatus(status))];
}

function cureOf(code: string | undefined): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'see the name in telemetry.endpoint';
  if (code === 'ETIMEDOUT') return 'see the collector and the firewalls, or raise telemetry.timeout';
  if (code?.includes('CERT') || code?.startsWith('UNABLE_TO')) {
    return "see the collector's certificate: it must be signed by a CA that the system trusts";
  }
  return 'see telemetry.endpoint and the collector';
}

function cureOfStatus(status: number): string {
  if (status === 404 || status === 405) return 'see the path in telemetry.endpoint: usually /v1/metrics';
  if (status === 401 || status === 403) return 'see telemetry.headers: the collector wants other credentials';
  if (status === 415 || status === 400)
    return 'what listens there takes no OTLP as JSON: see telemetry.endpoint';
  if (status >= 300 && status < 400) return 'name the place that it redirects to in telemetry.endpoint';
  return 'see the log of the collector';
}

function post(url: URL, headers: Readonly<Record<string, string>>, timeout: number): Promise<Answer> {
  return new Promise((resolve) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const request = send(
      url,
      {
        method: 'POST',
        headers: {
          ...headers,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(NOTHING),
        },
        agent: false,
      },
      (response) => void read(response).then((said) => end({ status: response.statusCode ?? 0, said })),
    );
    const end = (answer: Answer): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      const error: NodeJS.ErrnoException = new Error(`no answer within ${timeout} ms`);
      error.code = 'ETIMEDOUT';
      end({ error });
    }, timeout);
    request.on('error', (error: NodeJS.ErrnoException) => end({ error }));
    request.end(NOTHING);
  });
}

/** The beginning of what it says: it may go on for ever. */
async function read(response: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk;
      if (text.length > 300) break;
    }
  } catch {
    // What has come is enough.
  }
  return text.slice(0, 300).trim();
}
