import type { Config } from '../config/schema.ts';
import { Occtl } from '../ocserv/occtl.ts';
import { broken, type Finding, ok, warning } from './finding.ts';

const WHY =
  'without it sessions are not compared with ocserv, have no traffic, and cannot be ended by the portal';

/** @param isRunning whether an ocserv runs on this machine. */
export async function checkOcctl({ ocserv }: Config, isRunning: boolean): Promise<Finding[]> {
  const check = 'occtl';
  const listing = await new Occtl(ocserv).users();
  if (listing.kind === 'listed') {
    return [ok(check, `occtl lists ${listing.users.length} session(s) at ${listing.socket}`)];
  }
  if (process.geteuid?.() !== 0) {
    // ocserv's socket is root's.
    return [warning(check, `not checked: ${listing.why}`, WHY, 'run ocagent-hook doctor as root')];
  }
  if (/ENOENT/.test(listing.why) && listing.kind === 'failed') {
    const cure = `install it (it comes with ocserv), or set ocserv.occtl to its path; it is ${ocserv.occtl} now`;
    return [broken(check, listing.why, WHY, cure)];
  }
  if (!isRunning) {
    const what = `${listing.why}; no ocserv runs here`;
    return [warning(check, what, 'nobody can connect while it does not run', 'systemctl start ocserv')];
  }
  const cure =
    listing.kind === 'dead'
      ? "set ocserv.occtl_socket to ocserv.conf's occtl-socket-file, and use-occtl = true there; or name its file with --ocserv-conf"
      : 'see that it works by hand: occtl -j show users; as root';
  return [broken(check, listing.why, WHY, cure)];
}
