/** What an agent does on the wire, with nothing of the agent in it: plain calls to a portal. */
import { readFileSync } from 'node:fs';
import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';
import { serviceOf } from '../../scripts/portal/service-of.ts';
import {
  AuthServiceDefinition,
  CheckPolicyRequest,
  type CheckPolicyResponse,
  ValidateSessionRequest,
  type ValidateSessionResponse,
} from '../../src/portal/gen/vpn/v1/auth.ts';
import {
  EventServiceDefinition,
  ReportDisconnectRequest,
  type ReportDisconnectResponse,
  ReportSessionUpdateRequest,
  type ReportSessionUpdateResponse,
} from '../../src/portal/gen/vpn/v1/events.ts';

type Headers = Record<string, string>;

const AUTH = serviceOf(AuthServiceDefinition);
const EVENTS = serviceOf(EventServiceDefinition);

export class PortalAgent {
  readonly #client: Client;
  readonly #deadlineMs: number;

  /** With only `ca`, the agent shows no certificate. */
  constructor(
    address: string,
    files: Pick<CertificateFiles, 'ca'> & Partial<CertificateFiles>,
    deadlineMs = 10_000,
  ) {
    const optional = (path: string | undefined) => (path === undefined ? null : readFileSync(path));
    const channel: ChannelCredentials = credentials.createSsl(
      readFileSync(files.ca),
      optional(files.agentKey),
      optional(files.agentCertificate),
    );
    // TLS has no server name for an IP address (RFC 6066).
    this.#client = new Client(address, channel, { 'grpc.ssl_target_name_override': 'localhost' });
    this.#deadlineMs = deadlineMs;
  }

  #call<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
    headers: Headers,
  ): Promise<Response> {
    const metadata = Metadata.fromHttp2Headers(headers);
    const options = { deadline: Date.now() + this.#deadlineMs };
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, response?: Response): void => {
        if (error === null) resolve(response as Response);
        else reject(error);
      };
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        done,
      );
    });
  }

  check(request: Partial<CheckPolicyRequest>, headers: Headers = {}): Promise<CheckPolicyResponse> {
    return this.#call(AUTH.checkPolicy, CheckPolicyRequest.create(request), headers);
  }

  validate(request: Partial<ValidateSessionRequest>): Promise<ValidateSessionResponse> {
    return this.#call(AUTH.validateSession, ValidateSessionRequest.create(request), {});
  }

  disconnected(
    request: Partial<ReportDisconnectRequest>,
    headers: Headers = {},
  ): Promise<ReportDisconnectResponse> {
    return this.#call(EVENTS.reportDisconnect, ReportDisconnectRequest.create(request), headers);
  }

  update(request: Partial<ReportSessionUpdateRequest>): Promise<ReportSessionUpdateResponse> {
    return this.#call(EVENTS.reportSessionUpdate, ReportSessionUpdateRequest.create(request), {});
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
