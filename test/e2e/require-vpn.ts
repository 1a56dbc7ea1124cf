import { vpnAvailable } from '../../scripts/vpn/prerequisites.ts';

const availability = vpnAvailable();

/**
 * For the `skip` option of tests that need a real VPN: false, or the reason why none can run here. On a build
 * server nobody reads a list of skipped tests, so there (CI=true) a missing VPN is a failure.
 */
export const noVpn: string | false = availability.ok ? false : availability.reason;

if (noVpn !== false && process.env['CI'] === 'true') {
  throw new Error(`the end-to-end tests must run on a build server, and no VPN can run here: ${noVpn}`);
}
