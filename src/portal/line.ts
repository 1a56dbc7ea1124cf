import {
  type ChannelCredentials,
  Client,
  type ClientUnaryCall,
  connectivityState,
  type Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { type Address, formatAddress } from '../config/address.ts';
import { milliseconds } from '../state/clock.ts';

/** One rpc, as the generated services describe it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** What became of a call. */
export type Attempt<Response> = { readonly response: Response } | FailedAttempt;

export interface FailedAttempt {
  readonly code: number;
  readonly details: string;
  /** A connection stood, whatever became of it. */
  readonly reached: boolean;
  /** The same, of this attempt or one before it. */
  readonly everReached: boolean;
  readonly address: Address;
}

export interface LineOptions {
  readonly credentials: ChannelCredentials;
  /** The name that the portal's certificate must carry; empty: the address' own. */
  readonly serverName: string;
  /** Tried in their order; at least one. */
  readonly addresses: readonly Address[];
  /** Told once for each connection, by the first answer over it. */
  readonly onMet?: OnMet | undefined;
}

/** What a connection tells of the portal besides its answers; null what it does not tell. */
export interface Met {
  /** Its clock, to the second, as it began to answer: HTTP's `date`, which Node's servers send and Go's do not. */
  readonly portalTime: Date | null;
  /** Of its own certificate. */
  readonly certificateExpiry: Date | null;
}

export type OnMet = (met: Met) => void;

/** With less than this left a further attempt only delays the fail mode's answer. */
const MIN_ATTEMPT_MS = 50;

/** The way to the portal: at most one connection, to the first address that can be reached, kept while it stands. */
export class Line {
  readonly #options: LineOptions;
  #standing: { readonly client: Client; readonly index: number } | null = null;
  /** The connection that `onMet` was last told of. */
  #met: object | null = null;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /**
   * Calls over the connection that stands, else the first address that can be reached. Each gets an equal share of the budget to
   * connect. One that cannot be reached passes the call on; a call that failed with UNAVAILABLE is retried so many
   * times, at the next address where there is one, else at the same (contract/cli.md, "Times").
   * @param budget milliseconds for all of it: connections, TLS, retries.
   */
  async call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: Metadata,
    budget: number,
    { retries }: { retries: number },
  ): Promise<Attempt<Response>> {
    const { addresses, onMet } = this.#options;
    const end = milliseconds() + budget;
    const share = budget / addresses.length;
    const onAnswer =
      onMet && ((call: ClientUnaryCall, answer: Metadata): void => this.#meet(call, answer, onMet));
    // A request that a portal has seen could have provoked whatever came of it, a crash of that portal included.
    let everReached = false;
    for (let index = this.#standing?.index ?? 0; ; ) {
      const address = addresses[index];
      if (address === undefined) throw new RangeError('a portal call needs an address');
      const client = this.#clientTo(address, index);
      const tried = await attempt(client, address, method, request, metadata, end, share, onAnswer);
      if ('response' in tried) return tried;
      if (!tried.reached || !isReady(client)) this.#drop(client);
      everReached ||= tried.reached;
      const failed = { ...tried, everReached };
      const hasNext = index + 1 < addresses.length;
      if (!failed.reached && hasNext) {
        index++;
        continue;
      }
      if (failed.code !== status.UNAVAILABLE || retries === 0) return failed;
      if (end - milliseconds() < MIN_ATTEMPT_MS) return failed;
      retries--;
      if (hasNext) index++;
    }
  }

  /** Whether a connection stands, as far as anybody has noticed. */
  get stands(): boolean {
    return this.#standing !== null && isReady(this.#standing.client);
  }

  close(): void {
    this.#standing?.client.close();
    this.#standing = null;
  }

  #meet(call: ClientUnaryCall, answer: Metadata, onMet: OnMet): void {
    // grpc-js makes this object once for each connection.
    const connection = call.getAuthContext();
    if (connection === null || connection === this.#met) return;
    this.#met = connection;
    onMet({
      portalTime: dateOf(answer.get('date')[0]?.toString()),
      certificateExpiry: dateOf(connection.sslPeerCertificate?.valid_to),
    });
  }

  #clientTo(address: Address, index: number): Client {
    if (this.#standing?.index === index) return this.#standing.client;
    this.close();
    const { credentials, serverName } = this.#options;
    const client = new Client(`dns:${formatAddress(address)}`, credentials, {
      // Everything ambient is off: a proxy from the environment, service configurations from DNS, retries of the library's own.
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_retries': 0,
      // An address that refuses must fail the call now, not after the library's back-off.
      'grpc.initial_reconnect_backoff_ms': 60_000,
      ...(serverName === ''
        ? {}
        : { 'grpc.ssl_target_name_override': serverName, 'grpc.default_authority': serverName }),
    });
    this.#standing = { client, index };
    return client;
  }

  #drop(client: Client): void {
    if (this.#standing?.client === client) this.close();
  }
}

function dateOf(text: string | undefined): Date | null {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? null : new Date(time);
}

function isReady(client: Client): boolean {
  return client.getChannel().getConnectivityState(false) === connectivityState.READY;
}

function attempt<Request, Response>(
  client: Client,
  address: Address,
  { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
  request: Request,
  metadata: Metadata,
  end: number,
  share: number,
  onAnswer: ((call: ClientUnaryCall, answer: Metadata) => void) | undefined,
): Promise<Attempt<Response>> {
  const channel = client.getChannel();
  let reached = false;
  let tooSlow = false;

  return new Promise<Attempt<Response>>((resolve) => {
    const deadline = new Date(Date.now() + Math.max(0, end - milliseconds()));
    const pending = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => {
        clearTimeout(connectTimer);
        reached ||= isReady(client);
        // An error that the portal sent comes with its headers, one of our own with none.
        if (onAnswer !== undefined && Object.keys(error?.metadata.getMap() ?? {}).length > 0) {
          onAnswer(pending, (error as ServiceError).metadata);
        }
        if (error === null && response !== undefined) resolve({ response });
        else resolve({ ...causeOf(error), reached, everReached: reached, address });
      },
    );
    if (onAnswer !== undefined) pending.on('metadata', (answer: Metadata) => onAnswer(pending, answer));
    const connectTimer = setTimeout(
      () => {
        tooSlow = true;
        pending.cancel();
      },
      Math.min(share, end - milliseconds()),
    );

    const watch = (): void => {
      const seen = channel.getConnectivityState(true);
      if (seen === connectivityState.READY) {
        reached = true;
        clearTimeout(connectTimer);
      } else if (seen !== connectivityState.SHUTDOWN) {
        channel.watchConnectivityState(seen, deadline, (error) => {
          if (error === undefined || error === null) watch();
        });
      }
    };
    watch();

    const causeOf = (error: ServiceError | null): { code: number; details: string } => {
      if (tooSlow) {
        const waited = `no connection to ${formatAddress(address)} within ${Math.round(share)} ms`;
        return { code: status.DEADLINE_EXCEEDED, details: waited };
      }
      // grpc-js ends its own texts with a note that is mostly empty.
      const details = (error?.details ?? '').replace(/\.? *Resolution note: *$/, '');
      return { code: error?.code ?? status.UNKNOWN, details };
    };
  });
}
