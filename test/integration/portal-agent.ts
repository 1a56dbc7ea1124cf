/** What an agent does on the wire, with nothing of the agent in it: plain calls to a portal. */
import { readFileSync } from 'node:fs';
import { type CallOptions, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';
import {
  AuthServiceClient,
  CheckPolicyRequest,
  type CheckPolicyResponse,
  ValidateSessionRequest,
  type ValidateSessionResponse,
} from '../../src/portal/gen/vpn/v1/auth.ts';
import {
  EventServiceClient,
  ReportDisconnectRequest,
  type ReportDisconnectResponse,
  ReportSessionUpdateRequest,
  type ReportSessionUpdateResponse,
} from '../../src/portal/gen/vpn/v1/events.ts';

type Headers = Record<string, string>;
type Callback<Response> = (error: ServiceError | null, response: Response) => void;

function answer<Response>(send: (callback: Callback<Response>) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    send((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

export class PortalAgent {
  readonly #auth: AuthServiceClient;
  readonly #events: EventServiceClient;
  readonly #deadlineMs: number;

  /** With only `ca`, the agent shows no certificate. */
  constructor(
    address: string,
    files: Pick<CertificateFiles, 'ca'> & Partial<CertificateFiles>,
    deadlineMs = 10_000,
  ) {
    const optional = (path: string | undefined) => (path === undefined ? null : readFileSync(path));
    const channel = credentials.createSsl(
      readFileSync(files.ca),
      optional(files.agentKey),
      optional(files.agentCertificate),
    );
    // TLS has no server name for an IP address (RFC 6066).
    const options = { 'grpc.ssl_target_name_override': 'localhost' };
    this.#auth = new AuthServiceClient(address, channel, options);
    this.#events = new EventServiceClient(address, channel, options);
    this.#deadlineMs = deadlineMs;
  }

  #options(): Partial<CallOptions> {
    return { deadline: Date.now() + this.#deadlineMs };
  }

  check(request: Partial<CheckPolicyRequest>, headers: Headers = {}): Promise<CheckPolicyResponse> {
    const message = CheckPolicyRequest.create(request);
    const metadata = Metadata.fromHttp2Headers(headers);
    return answer((callback) => this.#auth.checkPolicy(message, metadata, this.#options(), callback));
  }

  validate(request: Partial<ValidateSessionRequest>): Promise<ValidateSessionResponse> {
    const message = ValidateSessionRequest.create(request);
    return answer((callback) =>
      this.#auth.validateSession(message, new Metadata(), this.#options(), callback),
    );
  }

  disconnected(
    request: Partial<ReportDisconnectRequest>,
    headers: Headers = {},
  ): Promise<ReportDisconnectResponse> {
    const message = ReportDisconnectRequest.create(request);
    const metadata = Metadata.fromHttp2Headers(headers);
    return answer((callback) => this.#events.reportDisconnect(message, metadata, this.#options(), callback));
  }

  update(request: Partial<ReportSessionUpdateRequest>): Promise<ReportSessionUpdateResponse> {
    const message = ReportSessionUpdateRequest.create(request);
    return answer((callback) =>
      this.#events.reportSessionUpdate(message, new Metadata(), this.#options(), callback),
    );
  }

  [Symbol.dispose](): void {
    this.#auth.close();
    this.#events.close();
  }
}
