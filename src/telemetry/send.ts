import { DiagLogLevel, diag } from '@opentelemetry/api';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import type { Config } from '../config/schema.ts';
import { resourceMetrics } from './resource-metrics.ts';
import type { Snapshot } from './snapshot.ts';

/** The library ends an export by itself; this much later it is not waited for any more. */
const GRACE_MS = 500;

/**
 * Sends a snapshot by OTLP/HTTP, tried again within `telemetry.timeout` where the collector says that it may be.
 * @returns null when the collector took it, else why not.
 */
export async function send(snapshot: Snapshot, { telemetry }: Config): Promise<string | null> {
  const { url, authorization } = withoutCredentials(telemetry.endpoint);
  const exporter = new OTLPMetricExporter({
    url,
    headers: { ...authorization, ...telemetry.headers },
    timeoutMillis: telemetry.timeout,
  });
  // The library counts an answer that refuses a part as a success, and says what was refused to its diagnostics alone.
  const refused: string[] = [];
  const warn = (...words: unknown[]): void =>
    void (/partial success/i.test(words.join()) && refused.push(words.join(' ')));
  diag.setLogger({ ...SILENT, warn }, DiagLogLevel.WARN);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(
      () => resolve(`no answer within ${telemetry.timeout} ms`),
      telemetry.timeout + GRACE_MS,
    );
  });
  const sent = new Promise<string | null>((resolve) => {
    exporter.export(resourceMetrics(snapshot), ({ error }) =>
      resolve(error === undefined ? null : explain(error)),
    );
  });
  const result = await Promise.race([sent, late]);
  clearTimeout(timer);
  return result ?? refused[0] ?? null;
}

const SILENT = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {}, verbose: () => {} };

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

function explain({ message, code }: Error & { code?: number | string }): string {
  // Its words for 429, 502, 503 and 504, which it has tried again.
  if (message.includes('retryable status')) return 'the collector answered that it cannot take it now';
  const status = typeof code === 'number' ? `HTTP ${code} ` : '';
  return `the collector did not take it: ${status}${message || 'without a reason'}`;
}
