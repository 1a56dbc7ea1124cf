import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import type { Config } from '../config/schema.ts';
import { publicRoots } from '../tls/public-roots.ts';
import { resourceMetrics } from './resource-metrics.ts';
import type { Snapshot } from './snapshot.ts';

/** The library ends most exports in time by itself; so much later none is waited for any more. */
const GRACE_MS = 500;

/**
 * Sends a snapshot by OTLP/HTTP, tried again where the collector says that it may be.
 * @param budget milliseconds for all of it.
 * @returns null when the collector took it, else why not. Nothing of it is on its way any more by then.
 */
export async function send(
  snapshot: Snapshot,
  { endpoint, headers }: Config['telemetry'],
  budget: number,
): Promise<string | null> {
  const { url, authorization } = withoutCredentials(endpoint);
  const timeoutMillis = Math.max(1, Math.round(budget));
  const agent = url.startsWith('https:') ? new HttpsAgent({ ca: publicRoots() }) : new HttpAgent();
  const exporter = new OTLPMetricExporter({
    url,
    headers: { ...authorization, ...headers },
    timeoutMillis,
    httpAgentOptions: () => agent,
  });
  const objections = listenToDiagnostics();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('no answer within telemetry.timeout'), timeoutMillis + GRACE_MS);
  });
  const sent = new Promise<string | null>((resolve) => {
    exporter.export(resourceMetrics(snapshot), ({ error }) =>
      resolve(error === undefined ? null : explain(error)),
    );
  });
  const result = await Promise.race([sent, late]);
  clearTimeout(timer);
  // The library's own limit is one of silence: a request that is answered byte by byte would go on for ever.
  agent.destroy();
  return result ?? objections[0] ?? null;
}

/** A name and a password in a URL are for the server, and for no log or message. */
function withoutCredentials(endpoint: string): { url: string; authorization: Record<string, string> } {
  const url = new URL(endpoint);
  if (url.username === '' && url.password === '') return { url: endpoint, authorization: {} };
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = '';
  url.password = '';
  return {
    url: url.href,
    authorization: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
  };
}

const SILENT = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {}, verbose: () => {} };

/** The library takes every 2xx for a success, and says what is odd about it to its diagnostics alone. */
function listenToDiagnostics(): readonly string[] {
  const objections: string[] = [];
  const warn = (...words: unknown[]): void => {
    const objection = words
      .map(String)
      .map(objectionIn)
      .find((found) => found !== null);
    if (objection !== undefined && objection !== null) objections.push(objection);
  };
  diag.setLogger({ ...SILENT, warn }, DiagLogLevel.WARN);
  return objections;
}

function objectionIn(words: string): string | null {
  // Its words for an answer that is HTML.
  if (/^Failed to parse .*Unexpected token '<'/s.test(words)) {
    return 'what answers there is a web server, and no OTLP collector';
  }
  try {
    // OTLP: with nothing rejected it is a warning at most, and all was taken.
    const { rejectedDataPoints, errorMessage } = JSON.parse(words) as Record<string, unknown>;
    if (!(Number(rejectedDataPoints) > 0)) return null;
    return `the collector refused ${rejectedDataPoints} data points: ${errorMessage || 'without a reason'}`;
  } catch {
    return null;
  }
}

function explain({ message, code }: Error & { code?: number | string }): string {
  // Its words for 429, 502, 503 and 504, which it has tried again.
  if (message.includes('retryable status')) return 'the collector answered that it cannot take it now';
  const status = typeof code === 'number' ? `HTTP ${code} ` : '';
  return `the collector did not take it: ${status}${message || 'without a reason'}`;
}
