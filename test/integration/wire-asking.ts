/** What a test of the wire asks, and what came of it. */
import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';
import { secureContextOf } from '../../src/portal/credentials.ts';
import type { CheckPolicyResponse } from '../../src/portal/gen/vpn/v1/auth.ts';
import { type Attempt, type FailedAttempt, Line, type LineOptions } from '../../src/portal/line.ts';
import { METHODS } from '../../src/portal/methods.ts';
import { serving, type Ways } from './wire-servers.ts';

/** What a server does with a call. */
export type Answers = (stream: ServerHttp2Stream) => void;

/** A line to it, as the program makes one. */
export function lineTo(
  files: CertificateFiles | null,
  addresses: LineOptions['addresses'],
  rest: Partial<LineOptions> = {},
): Line & Disposable {
  const secureContext = secureContextOf({
    enabled: files !== null,
    ca_file: files?.ca ?? '',
    cert_file: files?.agentCertificate ?? '',
    key_file: files?.agentKey ?? '',
    server_name: '',
    min_version: 'TLS1.3',
    insecure: false,
  });
  if (secureContext !== null && 'counts' in secureContext) throw new Error(secureContext.detail);
  const line = new Line({ secureContext, serverName: '', addresses, ...rest });
  return Object.assign(line, { [Symbol.dispose]: () => line.close() });
}

export interface Asking {
  readonly username?: string;
  readonly budget?: number;
  readonly retries?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Asks whether somebody may connect. */
export function ask(
  line: Line,
  { username = 'alice', budget = 5_000, retries = 0, metadata = {} }: Asking = {},
): Promise<Attempt<CheckPolicyResponse>> {
  const request = { username, groupname: '', clientIp: '', vpnIp: '', sessionId: '', device: '' };
  return line.call(METHODS.checkPolicy, { ...request, requestTime: undefined }, metadata, budget, {
    retries,
  });
}

/** What came of it, for comparing. An answer that lets somebody in is `allowed`. */
export function outcome(attempt: Attempt<CheckPolicyResponse>): readonly [code: unknown, reached: unknown] {
  if ('response' in attempt) return [attempt.response.allowed ? 'allowed' : 'denied', true];
  return [attempt.code, attempt.reached];
}

/** What a call fails with that is answered so; the test fails where it does not. */
export async function failureFrom(
  files: CertificateFiles,
  answers: Answers,
  ways: Ways = {},
  budget = 5_000,
): Promise<FailedAttempt> {
  await using server = await serving(files, answers, ways);
  using line = lineTo(ways.plain ? null : files, [server.address]);
  const attempt = await ask(line, { budget });
  assert.ok(!('response' in attempt), 'it is an answer');
  return attempt;
}
