import {
  type ChannelCredentials,
  connectivityState,
  type Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { type Address, formatAddress } from '../config/address.ts';
import { AuthServiceClient, type CheckPolicyRequest, type CheckPolicyResponse } from './gen/vpn/v1/auth.ts';

/** What one address made of the call. `reached`: a connection stood, whatever became of it. */
type Attempt = { readonly response: CheckPolicyResponse } | FailedAttempt;

export interface FailedAttempt {
  readonly code: number;
  readonly details: string;
  readonly reached: boolean;
  /** The same, of this attempt or one before it. */
  readonly everReached: boolean;
  readonly address: Address;
}

export interface Call {
  readonly request: CheckPolicyRequest;
  readonly metadata: Metadata;
  readonly credentials: ChannelCredentials;
  /** The name that the portal's certificate must carry; empty: the address' own. */
  readonly serverName: string;
  readonly addresses: readonly Address[];
  /** Milliseconds for all of it: connections, TLS, the retry. */
  readonly budget: number;
}

/**
 * Calls the first address that can be reached, in their order. Each gets an equal share of the budget to connect. One
 * that cannot be reached passes the call on; a call that failed with UNAVAILABLE is retried once, at the next address
 * where there is one, else at the same (contract/cli.md, "Times").
 */
export async function callPortal(call: Call): Promise<Attempt> {
  const end = performance.now() + call.budget;
  const share = call.budget / call.addresses.length;
  let retries = 1;
  // A request that a portal has seen could have provoked whatever came of it, a crash of that portal included.
  let everReached = false;
  for (let index = 0; ; ) {
    const address = call.addresses[index];
    if (address === undefined) throw new RangeError('a portal call needs an address');
    const tried = await attemptAt(address, call, end, share);
    if ('response' in tried) return tried;
    everReached ||= tried.reached;
    const attempt = { ...tried, everReached };
    const hasNext = index + 1 < call.addresses.length;
    if (!attempt.reached && hasNext) {
      index++;
      continue;
    }
    if (attempt.code !== status.UNAVAILABLE || retries === 0) return attempt;
    if (end - performance.now() < MIN_ATTEMPT_MS) return attempt;
    retries--;
    if (hasNext) index++;
  }
}

/** With less than this left a further attempt only delays the fail mode's answer. */
const MIN_ATTEMPT_MS = 50;

function attemptAt(address: Address, call: Call, end: number, share: number): Promise<Attempt> {
  const client = new AuthServiceClient(`dns:${formatAddress(address)}`, call.credentials, {
    // Everything ambient is off: a proxy from the environment, service configurations from DNS, retries of the library's own.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_retries': 0,
    // An address that refuses must fail the call now, not after the library's back-off.
    'grpc.initial_reconnect_backoff_ms': 60_000,
    ...(call.serverName === ''
      ? {}
      : { 'grpc.ssl_target_name_override': call.serverName, 'grpc.default_authority': call.serverName }),
  });
  const channel = client.getChannel();
  let reached = false;
  let tooSlow = false;

  return new Promise<Attempt>((resolve) => {
    const deadline = new Date(Date.now() + Math.max(0, end - performance.now()));
    const pending = client.checkPolicy(call.request, call.metadata, { deadline }, (error, response) => {
      clearTimeout(connectTimer);
      reached ||= channel.getConnectivityState(false) === connectivityState.READY;
      client.close();
      resolve(error === null ? { response } : { ...causeOf(error), reached, everReached: reached, address });
    });
    const connectTimer = setTimeout(
      () => {
        tooSlow = true;
        pending.cancel();
      },
      Math.min(share, end - performance.now()),
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

    const causeOf = (error: ServiceError): { code: number; details: string } => {
      if (!tooSlow) {
        // grpc-js ends its own texts with a note that is mostly empty.
        return { code: error.code, details: error.details.replace(/\.? *Resolution note: *$/, '') };
      }
      const waited = `no connection to ${formatAddress(address)} within ${Math.round(share)} ms`;
      return { code: status.DEADLINE_EXCEEDED, details: waited };
    };
  });
}
