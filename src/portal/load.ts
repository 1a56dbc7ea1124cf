import { isIpAddress } from '../config/ip.ts';
import type { Config } from '../config/schema.ts';
import type { PortalCalls } from './calls.ts';

/**
 * What asks the portal is loaded here and nowhere else, by those who have found that they need it: most of a portal connect's time is
 * spent on loading TLS, and a cached connect must not pay for it.
 */
export function loadPortal({ portal }: Config): Promise<typeof import('./calls.ts')> {
  prepareRuntime(portal.address.some(({ host }) => !isIpAddress(host)));
  return import('./calls.ts');
}

/** The portal's calls, of which the connection is made with the first one. Whoever opens them closes them. */
export async function openPortal(config: Config): Promise<PortalCalls> {
  const { portalCalls } = await loadPortal(config);
  return portalCalls(config);
}

let isPrepared = false;

/**
 * Node's built-in modules come with a code cache of their own, made under V8's default flags: those of the launcher make V8 reject
 * it, and loading them would take three times as long. They are taken back for as long as these modules are loaded. The program's own
 * chunk is loaded under those that are left in the end, and its cache was made under the same (scripts/keep-code.cjs).
 * @param withNames an address is a name, which has to be resolved.
 */
function prepareRuntime(withNames: boolean): void {
  if (isPrepared) return;
  isPrepared = true;
  // Fetched, not imported: the module is heavy, and a cached connect never comes here.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--rehash-snapshot');
  setFlagsFromString('--sparkplug');
  setFlagsFromString('--min-semi-space-size=0');
  // With all that it loads itself.
  process.getBuiltinModule('tls');
  if (withNames) process.getBuiltinModule('dns');
  setFlagsFromString('--no-sparkplug');
  // The expression by which Node knows an IPv6 address is so large that optimizing it, for a portal that is named, costs as much as
  // a TLS handshake.
  setFlagsFromString('--no-regexp-optimization');
}
