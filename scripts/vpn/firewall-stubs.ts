import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Makes stand-ins for iptables and ip6tables that only note how they were called, and returns their folder for
 * `ServerOptions.path`: with `restrict-user-to-routes` ocserv calls ocserv-fw, which needs both before it calls us.
 */
export async function firewallStubs(folder: string): Promise<{ path: string; log: string }> {
  const path = join(folder, 'firewall');
  const log = join(folder, 'firewall.log');
  await mkdir(path);
  for (const name of ['iptables', 'ip6tables']) {
    await writeFile(join(path, name), `#!/bin/sh\necho "${name} $*" >> '${log}'\n`, { mode: 0o755 });
  }
  return { path, log };
}
