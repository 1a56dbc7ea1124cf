import { readFileSync } from 'node:fs';
import type { Traffic } from '../state/live-sessions.ts';
import type { Listed } from './occtl.ts';

/**
 * A live session's totals as the kernel counts them at the server's end of its tunnel: what it receives there is what came
 * from the client, as ocserv's STATS_BYTES_IN has it. occtl's own figures serve where the device is in another network
 * namespace; packets are then unknown.
 */
export function tunnelTraffic({ device, received, sent }: Listed): Traffic {
  const count = (name: string): bigint | null => {
    // A name of the kernel's, so no path of anybody's choosing.
    if (!/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,14}$/.test(device)) return null;
    try {
      return BigInt(readFileSync(`/sys/class/net/${device}/statistics/${name}`, 'latin1').trim());
    } catch {
      return null;
    }
  };
  return {
    bytesIn: received ?? count('rx_bytes'),
    bytesOut: sent ?? count('tx_bytes'),
    packetsIn: count('rx_packets'),
    packetsOut: count('tx_packets'),
  };
}
