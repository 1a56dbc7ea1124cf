import type { Fields } from '../log/line.ts';
import type { HookSession, HookStats } from './environment.ts';

/** All that ocserv said of a session, as the log has it: enough to book it by hand where it could not be recorded. */
export function figures(session: HookSession, stats: HookStats | null): Fields {
  return {
    username: session.username,
    groupname: session.groupname,
    vhost: session.vhost,
    ocserv_id: session.ocservId,
    client_ip: session.clientIp,
    vpn_ip: session.vpnIp,
    device: session.device,
    ...(stats === null
      ? {}
      : { bytes_in: stats.bytesIn, bytes_out: stats.bytesOut, duration_seconds: stats.durationSeconds }),
    ...session.metadata,
  };
}
