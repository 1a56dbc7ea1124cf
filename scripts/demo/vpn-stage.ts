import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HOOK, install } from '../stage/installation.ts';
import { startPortalProcess } from '../stage/portal-process.ts';
import type { Connected } from '../vpn/client.ts';
import { inside } from '../vpn/network.ts';
import { startVpn } from '../vpn/vpn.ts';
import { createWorkFolder } from '../vpn/work-folder.ts';
import { CONFIG, POLICY, type Stage, USERS } from './stage.ts';

/** A real ocserv in a network namespace of its own, and real openconnect clients in another. */
export async function vpnStage(): Promise<Stage> {
  const folder = await createWorkFolder();
  const closing: (() => Promise<void>)[] = [folder.remove];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const home = join(folder.path, 'agent');
    await mkdir(home, { mode: 0o700 });
    const installation = await install(home);
    const vpn = await startVpn({
      users: USERS,
      folder: folder.path,
      scripts: { connect: HOOK, disconnect: HOOK },
      environment: installation.environment,
    });
    closing.push(vpn.close);
    const portal = await startPortalProcess({
      folder: home,
      certificates: installation.certificates.directory,
      policy: POLICY,
      inside: (argv) => inside(vpn.network.server, argv),
    });
    closing.push(portal.stop);
    installation.configure({ portal: portal.address, config: CONFIG });

    const here = new Map<string, Connected>();
    return {
      installation,
      portal,
      description: [
        ['ocserv', `in its own network namespace, ${vpn.network.server}; its ocserv.conf names the hook:`],
        ...(await scriptLines(join(folder.path, 'ocserv.conf'))).map((line) => ['', `  ${line}`] as const),
        ['portal', `scripts/portal/main.ts beside it, on ${portal.address}, over mutual TLS`],
        ['clients', `openconnect, in the namespace ${vpn.network.client}`],
      ],
      async connect(user) {
        const outcome = await vpn.connect(user);
        if (!outcome.connected) return { connected: false, said: `refused: ${tidy(outcome.reason)}` };
        here.set(user, outcome);
        return { connected: true, said: `connected as ${outcome.vpnIp}` };
      },
      async leave(user) {
        await here.get(user)?.disconnect();
        here.delete(user);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function scriptLines(config: string): Promise<string[]> {
  return (await readFile(config, 'utf8')).split('\n').filter((line) => /^\w+-script/.test(line));
}

/** openconnect's own words around the server's answer say nothing. */
function tidy(reason: string): string {
  return reason.replace(/^Got .*?: /, '');
}
