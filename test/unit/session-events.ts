import type {
  ConnectEvent,
  DisconnectEvent,
  EventType,
  SessionEvent,
  Stats,
  UpdateEvent,
} from '../../src/accounting/event.ts';
import { enqueue, type Queued } from '../../src/state/outbox.ts';
import { listEvents } from '../../src/state/outbox-list.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at } from './fixture.ts';

/** More than any test puts into an outbox. */
export const PLENTY = 1_000_000;

export const STATS: Stats = {
  durationSeconds: '3600',
  bytesReceived: '18446744073709551615',
  bytesSent: '9007199254740993',
  packetsReceived: '3',
  packetsSent: '4',
};

export function connectOf(sessionId: string, more: Partial<ConnectEvent> = {}): ConnectEvent {
  return {
    type: 'connect',
    sessionId,
    username: 'alice',
    vhost: null,
    at: at(0).wall,
    groupname: 'staff',
    clientIp: '192.0.2.1',
    vpnIp: '10.200.0.5',
    device: 'vpns0',
    metadata: { source: 'portal' },
    ...more,
  };
}

export function endOf(sessionId: string, more: Partial<DisconnectEvent> = {}): DisconnectEvent {
  return {
    type: 'disconnect',
    sessionId,
    username: 'alice',
    vhost: null,
    at: at(0).wall,
    reason: 'UNSPECIFIED',
    stats: STATS,
    metadata: {},
    ...more,
  };
}

export function updateOf(sessionId: string, more: Partial<UpdateEvent> = {}): UpdateEvent {
  return {
    type: 'update',
    sessionId,
    username: 'alice',
    vhost: null,
    at: at(0).wall,
    stats: STATS,
    status: 'ACTIVE',
    ...more,
  };
}

export function eventOf(type: EventType, sessionId: string): SessionEvent {
  switch (type) {
    case 'connect':
      return connectOf(sessionId);
    case 'disconnect':
      return endOf(sessionId);
    case 'update':
      return updateOf(sessionId);
  }
}

/** Each under its own id: so a test can name it. */
export function put(
  tx: Transaction,
  events: Readonly<Record<string, SessionEvent>>,
  maxPending = PLENTY,
): void {
  for (const [id, event] of Object.entries(events)) enqueue(tx, event, { maxPending, id });
}

/** The ids of all that is in the outbox, in their order. */
export function idsIn(tx: Transaction): string[] {
  return listEvents(tx, { limit: PLENTY }).map(({ id }) => id);
}

export function find(tx: Transaction, id: string): Queued {
  const found = listEvents(tx, { limit: PLENTY }).find((queued) => queued.id === id);
  if (found === undefined) throw new Error(`${id} is not in the outbox`);
  return found;
}
