import { forcedReason } from '../accounting/event.ts';
import type { Config } from '../config/schema.ts';
import { countCall } from '../policy/settle.ts';
import type { Failure } from '../policy/types.ts';
import type { Reported } from '../portal/session-calls.ts';
import { backOff } from '../resilience/back-off.ts';
import { revoke } from '../state/decisions.ts';
import { orderSessionOut } from '../state/orders.ts';
import { delivered, noteTry, postpone, type Queued, setAsideEvent } from '../state/outbox.ts';
import { keepUpdatedRoutes, ocservIdOf } from '../state/session-records.ts';
import type { Transaction } from '../state/transaction.ts';

/** What the portal's answer, or its absence, makes of an event in the outbox. @param random from 0 to 1. */
export function settleEvent(
  tx: Transaction,
  queued: Queued,
  reported: Reported,
  { events }: Config,
  random: number,
): void {
  countCall(tx, reported.call);
  const wait = backOff(queued.attempts + 1, { initial: events.retry_initial, max: events.retry_max }, random);
  switch (reported.kind) {
    case 'taken':
      delivered(tx, queued);
      if (queued.event.type === 'connect') {
        keepUpdatedRoutes(tx, queued.event.sessionId, reported.updatedRoutes);
      }
      break;
    case 'refused':
      postpone(tx, queued, `not taken: ${reported.detail}`, wait);
      break;
    case 'invalid':
      setAsideEvent(tx, queued, `INVALID_ARGUMENT: ${reported.detail}`);
      break;
    case 'unknown call':
      postpone(tx, queued, describe(reported.failure), events.retry_max);
      break;
    case 'failed':
      // Of a portal that was not reached the drain itself keeps away, and all go out as soon as it is back.
      if (reported.reached) postpone(tx, queued, describe(reported.failure), wait);
      else noteTry(tx, queued, describe(reported.failure));
      break;
  }
  if ('mustEnd' in reported && reported.mustEnd !== null) endByOrder(tx, queued, reported.mustEnd);
}

function endByOrder(tx: Transaction, { event }: Queued, words: string): void {
  const { sessionId, username } = event;
  if (ocservIdOf(tx, sessionId) !== undefined) {
    orderSessionOut(tx, { username, sessionId, reason: forcedReason(words), detail: words });
    return;
  }
  // It has ended meanwhile; that he is not to come back by an older answer holds all the same.
  revoke(tx, username);
}

export function describe({ code, detail }: Failure): string {
  return `${code}: ${detail}`;
}
