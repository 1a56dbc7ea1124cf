import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Config } from '../config/schema.ts';
import { publicRoots } from '../tls/public-roots.ts';
import { withoutSecrets } from './secrets.ts';

/** OTLP/HTTP's request without any metric in it: a collector takes it, and nothing is stored. */
const NOTHING = JSON.stringify({ resourceMetrics: [] });

/** Milliseconds that a person waits for it, whatever an export may take. */
const LONGEST_MS = 5_000;
/** Characters of an answer that are shown. */
const SHOWN = 300;
/** An answer that says what became of the metrics is short. */
const READ = 16_384;

/** What came of asking. Neither text holds any secret of the configuration's. */
export type Answer =
  | { readonly status: number; readonly said: string; readonly isOtlp: boolean }
  | Unanswered;

export interface Unanswered {
  readonly error: string;
  readonly code: string | undefined;
}

export interface Heard {
  readonly endpoint: string;
  /** Null where nothing is exported. */
  readonly answer: Answer | null;
}

/** Sends the collector nothing, as an export would be sent. */
export async function askCollector(telemetry: Config['telemetry']): Promise<Heard> {
  const { endpoint, enabled } = telemetry;
  if (!enabled) return { endpoint, answer: null };
  const strike = withoutSecrets(telemetry);
  try {
    const { status, type, text, isWhole } = await post(telemetry);
    const said = strike(text, isWhole).slice(0, SHOWN).trim();
    return { endpoint, answer: { status, said, isOtlp: isOtlp(type, text, isWhole) } };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { endpoint, answer: { error: strike(message, true), code } };
  }
}

/** A collector answers JSON with JSON, or with nothing; any web server answers anything with a page. */
function isOtlp(type: string, text: string, isWhole: boolean): boolean {
  if (/\bjson\b/i.test(type)) return true;
  if (!isWhole) return false;
  if (text === '') return true;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

interface Received {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly isWhole: boolean;
}

function post({ endpoint, headers, timeout }: Config['telemetry']): Promise<Received> {
  const url = new URL(endpoint);
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const patience = Math.min(timeout, LONGEST_MS);
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(NOTHING),
      },
      agent: false,
      ...(url.protocol === 'https:' ? { ca: publicRoots() } : {}),
    });
    const timer = setTimeout(() => {
      reject(Object.assign(new Error(`no answer within ${patience} ms`), { code: 'ETIMEDOUT' }));
      request.destroy();
    }, patience);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      request.destroy();
      settle();
    };
    request.on('error', (error) => end(() => reject(error)));
    request.on('response', async (response) => {
      const { text, isWhole } = await read(response);
      const type = response.headers['content-type'] ?? '';
      end(() => resolve({ status: response.statusCode ?? 0, type, text, isWhole }));
    });
    request.end(NOTHING);
  });
}

/** The beginning of what it says: it may go on for ever. */
async function read(response: IncomingMessage): Promise<Pick<Received, 'text' | 'isWhole'>> {
  let text = '';
  try {
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk;
      if (text.length > READ) return { text: text.slice(0, READ), isWhole: false };
    }
    return { text: text.trim(), isWhole: true };
  } catch {
    // What has come is enough.
    return { text, isWhole: false };
  }
}
