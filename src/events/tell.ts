import type { SessionEvent } from '../accounting/event.ts';
import type { Fields, Level } from '../log/line.ts';
import type { Log } from '../log/log.ts';
import type { Reported } from '../portal/session-calls.ts';
import type { Queued } from '../state/outbox.ts';

/** One line for each event that an answer came for; the usual ones at level debug. */
export function tellOf(log: Log, queued: Queued, reported: Reported): void {
  const fields = eventFields(queued.id, queued.event);
  const line = (level: Level, message: string, more: Fields = {}): void =>
    log.line(level, message, { ...fields, attempts: queued.attempts + 1, ...more });
  switch (reported.kind) {
    case 'taken':
      line('debug', 'event delivered');
      break;
    case 'refused':
      line('warn', 'event not taken by the portal', { error: reported.detail });
      break;
    case 'invalid':
      line('error', 'event set aside: the portal cannot accept it', {
        error: reported.detail,
        cure: 'see ocagent-hook events list --failed; then events retry, or events drop',
      });
      break;
    case 'unknown call':
      line('error', 'event kept: the portal does not know this call', {
        error: reported.failure.detail,
        cure: reported.failure.cure,
      });
      break;
    case 'failed':
      line(reported.failure.misconfigured ? 'error' : 'warn', 'event not delivered', {
        code: reported.failure.code,
        error: reported.failure.detail,
        ...(reported.failure.cure === '' ? {} : { cure: reported.failure.cure }),
      });
      break;
  }
}

/** All that an event says: enough to book it by hand. */
export function eventFields(id: string, event: SessionEvent): Fields {
  const { type, sessionId, username, at } = event;
  return {
    event: type,
    event_id: id,
    session_id: sessionId,
    username,
    at: new Date(at).toISOString(),
    ...(event.type === 'connect'
      ? { client_ip: event.clientIp, vpn_ip: event.vpnIp }
      : {
          bytes_in: event.stats.bytesReceived,
          bytes_out: event.stats.bytesSent,
          duration_seconds: event.stats.durationSeconds,
        }),
    ...(event.type === 'disconnect' ? { reason: event.reason } : {}),
  };
}
