import type { EndReason } from './event.ts';

/** The kernel's counts of a tunnel, seen from the server: decimal text. */
export interface TunnelCounts {
  readonly bytesIn: string;
  readonly bytesOut: string;
  readonly packetsIn: string;
  readonly packetsOut: string;
}

interface Named {
  readonly bytesIn: string | null;
  readonly bytesOut: string | null;
  readonly reason: EndReason;
  /** When the end was told; null where ocserv named traffic itself, or the tunnel was gone. */
  readonly tunnel: TunnelCounts | null;
}

export interface FinalCounts {
  readonly bytesIn: string | null;
  readonly bytesOut: string | null;
  readonly packetsIn: string;
  readonly packetsOut: string;
  readonly source: 'ocserv' | 'kernel';
}

/**
 * What a session's end is booked with: ocserv's own counts, exactly as it names them. Going down it names 0 for all (measured on ocserv 1.1.6);
 * then it is what the kernel had counted, at the end or when the session was last seen. ocserv counts no packets.
 */
export function finalCounts(end: Named, seen: TunnelCounts | null): FinalCounts {
  const { reason, bytesIn, bytesOut } = end;
  // At any other time the device can be another session's already.
  const tunnel = reason === 'SERVER_SHUTDOWN' ? end.tunnel : null;
  const larger = (count: keyof TunnelCounts): string => {
    const [a, b] = [BigInt(tunnel?.[count] ?? 0), BigInt(seen?.[count] ?? 0)];
    return String(a > b ? a : b);
  };
  const packets = { packetsIn: larger('packetsIn'), packetsOut: larger('packetsOut') };
  const lacks = (count: string | null): boolean => count === null || count === '0';
  const known = tunnel ?? seen;
  if (reason !== 'SERVER_SHUTDOWN' || !lacks(bytesIn) || !lacks(bytesOut) || known === null) {
    return { bytesIn, bytesOut, ...packets, source: 'ocserv' };
  }
  return { bytesIn: larger('bytesIn'), bytesOut: larger('bytesOut'), ...packets, source: 'kernel' };
}
