import { type DisconnectEvent, forcedReason } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import type { Decision, Request } from '../policy/types.ts';
import { orderUserOut } from '../state/orders.ts';
import { type Dropped, enqueue } from '../state/outbox.ts';
import { type EndedSession, endSession, type SessionEnd } from '../state/session-end.ts';
import { beginSession } from '../state/sessions.ts';
import type { Transaction } from '../state/transaction.ts';
import { sendForDrain } from './send-for-drain.ts';

/** What the transaction that recorded something leaves to be done once it is committed. */
export interface Aftermath {
  /** Events that had to go for it. */
  readonly dropped: Dropped;
  /** A drain must be started: by whoever started this process, once it has gone. */
  readonly drain: boolean;
}

export const NOTHING_LEFT: Aftermath = { dropped: {}, drain: false };

/** What ocserv said of a session that is let in, besides what it is asked with. */
interface Connecting {
  readonly ocservId: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A connect, in the transaction that decides it: its session begins, and the portal is to hear of it. */
export function recordConnect(
  tx: Transaction,
  decision: Decision,
  letIn: boolean,
  request: Request,
  connecting: Connecting,
  config: Config,
  canStartDrain: boolean,
): Aftermath {
  if (decision.shouldDisconnect) {
    orderUserOut(tx, {
      username: request.username,
      exceptOcservId: connecting.ocservId,
      reason: forcedReason(decision.reason),
      detail: decision.reason,
    });
  }
  let dropped: Dropped = {};
  if (letIn) {
    beginSession(tx, {
      ...request,
      ocservId: connecting.ocservId,
      source: decision.source,
      routes: decision.routes,
      dnsServers: decision.dnsServers,
      metadata: connecting.metadata,
    });
    if (config.events.enabled) {
      const { sessionId, username, groupname, clientIp, vpnIp, device, vhost, vhostNamed } = request;
      dropped = enqueue(
        tx,
        {
          type: 'connect',
          sessionId,
          username,
          groupname,
          clientIp,
          vpnIp,
          device,
          vhost: vhostNamed ? vhost : null,
          at: tx.now.wall,
          metadata: { ...connecting.metadata, ...howDecided(decision, config) },
        },
        { maxPending: config.events.max_pending },
      );
    }
  }
  const work = (letIn && config.events.enabled) || decision.shouldDisconnect;
  return {
    dropped,
    drain: sendForDrain(tx, config, canStartDrain, { work, urgent: decision.shouldDisconnect }),
  };
}

function howDecided({ source, allowed }: Decision, { resilience, hook }: Config): Record<string, string> {
  const fallback = source === 'stale' || source === 'fail-open' || source === 'emergency';
  return {
    source,
    ...(fallback ? { fail_mode: resilience.fail_mode } : {}),
    // Observe mode lets in whom it denies.
    ...(allowed ? {} : { mode: hook.mode, decision: 'denied' }),
  };
}

/** The end of a session, as ocserv tells it. */
export function recordEnd(
  tx: Transaction,
  end: SessionEnd,
  config: Config,
  canStartDrain: boolean,
): { ended: EndedSession; aftermath: Aftermath } {
  const ended = endSession(tx, end);
  const work = !ended.already && config.events.enabled;
  const dropped = work ? enqueueEnd(tx, ended, config) : {};
  return {
    ended,
    aftermath: { dropped, drain: sendForDrain(tx, config, canStartDrain, { work, urgent: false }) },
  };
}

/** Puts the report of an end into the outbox. */
export function enqueueEnd(tx: Transaction, ended: EndedSession, config: Config): Dropped {
  return enqueue(tx, endEvent(ended), { maxPending: config.events.max_pending, id: ended.eventId });
}

export function endEvent(ended: EndedSession): DisconnectEvent {
  const { sessionId, username, vhost, reason, stats, at, metadata } = ended;
  return { type: 'disconnect', sessionId, username, vhost, at, reason, stats, metadata };
}
