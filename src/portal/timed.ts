import type { PortalCall } from '../policy/types.ts';
import { milliseconds } from '../state/clock.ts';
import { statusName } from './grpc-status.ts';
import type { Attempt } from './line.ts';
import type { Method } from './methods.ts';

/** Makes a call and says how long it took and what it ended with, as the metrics count it. */
export async function timed<Request, Response>(
  method: Method<Request, Response>,
  call: (method: Method<Request, Response>) => Promise<Attempt<Response>>,
): Promise<{ attempt: Attempt<Response>; call: PortalCall }> {
  const since = milliseconds();
  const attempt = await call(method);
  const seconds = (milliseconds() - since) / 1_000;
  // The portal may answer with any number, and a label must have few values.
  const code = 'response' in attempt ? 'OK' : (statusName(attempt.code) ?? 'UNKNOWN');
  return { attempt, call: { rpc: method.name, code, seconds } };
}
