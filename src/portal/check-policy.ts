import { parseDuration } from '../config/duration.ts';
import type { Config } from '../config/schema.ts';
import type { Answer, Failure, PortalResult, Request } from '../policy/types.ts';
import { diagnose } from './diagnose.ts';
import type { CheckPolicyResponse } from './gen/vpn/v1/auth.ts';
import { Status } from './grpc-status.ts';
import type { Line } from './line.ts';
import { metadataOf } from './metadata.ts';
import { METHODS } from './methods.ts';
import { StarvationWatch } from './starvation.ts';
import { clip } from './status.ts';
import { timed } from './timed.ts';

/** What a machine that is merely too busy may eat of the portal's time before its failures stop counting. */
const FULL_ENOUGH = 2 / 3;

/**
 * Asks the portal whether this request may connect.
 * @param budget milliseconds left for it.
 * @param nominal milliseconds that it would have on a machine with time to spare.
 */
export async function checkPolicy(
  line: Line,
  config: Config,
  request: Request,
  budget: number,
  nominal: number,
): Promise<PortalResult> {
  const watch = new StarvationWatch();
  const { attempt, call } = await timed(METHODS.checkPolicy, (method) =>
    line.call(
      method,
      {
        username: request.username,
        groupname: request.groupname,
        clientIp: request.clientIp,
        vpnIp: request.vpnIp,
        sessionId: request.sessionId,
        device: request.device,
        requestTime: new Date(),
      },
      metadataOf(config.agent_id, request.vhostNamed ? request.vhost : null),
      budget,
      { retries: 1 },
    ),
  );
  watch.end();
  if ('response' in attempt) return { answer: fromResponse(attempt.response), call };
  if (attempt.code === Status.INVALID_ARGUMENT) return { answer: refusal(attempt.details), call };
  const starved = watch.wasStarved() || budget < nominal * FULL_ENOUGH;
  const failure = await diagnose(attempt, config);
  return { failure: starved && attempt.code === Status.DEADLINE_EXCEEDED ? excuse(failure) : failure, call };
}

function fromResponse(response: CheckPolicyResponse): Answer {
  // should_disconnect is a denial whatever `allowed` says (contract/portal.md).
  const allowed = response.allowed && !response.shouldDisconnect;
  const denied =
    response.denyReason || (response.shouldDisconnect ? 'the portal ends all sessions of this user' : '');
  return {
    allowed,
    reason: allowed ? '' : clip(denied || 'the portal denied it without a reason'),
    routes: response.routes,
    dnsServers: response.dnsServers,
    shouldDisconnect: response.shouldDisconnect,
    cacheTtl: cacheTtlOf(response.metadata['cache_ttl']),
    storable: true,
  };
}

function cacheTtlOf(text: string | undefined): Answer['cacheTtl'] {
  if (text === undefined) return 'none';
  const parsed = parseDuration(text);
  return parsed === null || parsed === 0 ? 'not stored' : parsed;
}

/** INVALID_ARGUMENT speaks of this request alone: a denial that is not kept. */
function refusal(details: string): Answer {
  return {
    allowed: false,
    reason: clip(`the portal cannot accept this request: ${details}`),
    routes: [],
    dnsServers: [],
    shouldDisconnect: false,
    cacheTtl: 'none',
    storable: false,
  };
}

function excuse(failure: Failure): Failure {
  return {
    ...failure,
    detail: `${failure.detail} (this machine was too busy to run the call; not held against the portal)`,
    counts: 'no',
  };
}
