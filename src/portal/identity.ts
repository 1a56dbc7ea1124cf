import { statSync } from 'node:fs';
import type { Config } from '../config/schema.ts';

/**
 * Which portal is asked, and how, down to the very files that certificates are in. Processes that agree in it can ask for each other: a
 * leader that began before something was changed answers nobody who comes later.
 */
export function portalIdentity({ agent_id, portal }: Config): string {
  const { ca_file, cert_file, key_file } = portal.tls;
  const files = portal.tls.enabled ? [ca_file, cert_file, key_file].map(identityOf) : [];
  return JSON.stringify([process.env['OCAGENT_VERSION'], agent_id, portal, files]);
}

function identityOf(file: string): string {
  const stat = file === '' ? undefined : statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}`;
}
