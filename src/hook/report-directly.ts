import { uuidv7 } from '../accounting/uuid.ts';
import type { Config } from '../config/schema.ts';
import { endEvent } from '../events/record.ts';
import { eventFields } from '../events/tell.ts';
import type { Fields } from '../log/line.ts';
import type { Log } from '../log/log.ts';
import { loadPortal } from '../portal/load.ts';
import { type EndedSession, endOfUnknown, type SessionEnd } from '../state/session-end.ts';

/**
 * Tells the portal of an end that the state could not take: one call, without the outbox.
 * @param known what the state could still tell of the session; null where it could not be read.
 * @returns whether the portal took it, and all that it was told or should have been.
 */
export async function reportDirectly(
  end: SessionEnd,
  known: EndedSession | null,
  config: Config,
  log: Log,
): Promise<{ told: boolean; event: Fields }> {
  // Nobody waits for a disconnect: here node:crypto may be loaded.
  const eventId = uuidv7(Date.now(), crypto.randomUUID().replaceAll('-', ''));
  const ended = known ?? endOfUnknown(end, Date.now(), eventId);
  const event = endEvent(ended);
  const fields = eventFields(ended.eventId, event);
  if (!config.events.enabled) return { told: false, event: fields };
  const { portalCalls } = await loadPortal(config);
  const calls = portalCalls(config);
  const reported = await calls.report(ended.eventId, event);
  calls.close();
  if (reported.kind === 'taken') return { told: true, event: fields };
  const error =
    'failure' in reported
      ? { code: reported.failure.code, error: reported.failure.detail, cure: reported.failure.cure }
      : { error: reported.detail };
  log.error('the portal could not be told of the disconnect either', { username: end.username, ...error });
  return { told: false, event: fields };
}
