import { hostname } from 'node:os';
import type { Metadata } from './request-headers.ts';

/**
 * What every call says besides its message: the messages have no field for it (contract/portal.md).
 * @param vhost null where ocserv named none.
 * @param eventId the same over every retry of an event.
 */
export function metadataOf(agentId: string, vhost: string | null, eventId?: string): Metadata {
  return {
    'x-agent-id': headerValue(agentId || hostname()),
    ...(vhost === null ? {} : { 'x-ocserv-vhost': headerValue(vhost) }),
    ...(eventId === undefined ? {} : { 'x-event-id': eventId }),
  };
}

/** gRPC's text metadata is printable ASCII; anything else is percent-encoded, as gRPC does for its own messages. */
export function headerValue(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
