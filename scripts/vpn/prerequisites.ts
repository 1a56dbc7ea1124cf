import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { namespaceName } from './network.ts';
import { TOOL_PATH, toolEnvironment } from './run.ts';

export type Availability = { ok: true } | { ok: false; reason: string };

const TOOLS = ['ip', 'ocserv', 'occtl', 'ocpasswd', 'openconnect'] as const;

/** Whether a VPN can run on this machine, tried out rather than guessed, and if not, what stands in the way. */
export function vpnAvailable(): Availability {
  if (process.platform !== 'linux') return no('network namespaces need Linux');
  if (process.getuid?.() !== 0) return no('network namespaces need root');
  const missing = TOOLS.filter(
    (tool) => !TOOL_PATH.split(':').some((folder) => isExecutable(join(folder, tool))),
  );
  if (missing.length > 0) return no(`missing: ${missing.join(', ')} (scripts/vpn/install.sh installs them)`);
  return tryNamespace(namespaceName('trial'));
}

/** A container may forget the right to make namespaces, or the tun device, and still call us root. */
function tryNamespace(name: string): Availability {
  const tries = [
    ['netns', 'add', name],
    ['-n', name, 'link', 'add', 'trial0', 'type', 'veth', 'peer', 'name', 'trial1'],
    ['-n', name, 'tuntap', 'add', 'dev', 'trial2', 'mode', 'tun'],
    ['netns', 'exec', name, 'true'],
  ];
  try {
    for (const args of tries) {
      const { status, stderr } = ip(args);
      if (status !== 0) return no(`"ip ${args.join(' ')}" fails: ${stderr.trim()}`);
    }
    return { ok: true };
  } finally {
    ip(['netns', 'delete', name]);
  }
}

function ip(args: readonly string[]): { status: number | null; stderr: string } {
  return spawnSync('ip', args, { env: toolEnvironment(), encoding: 'utf8', timeout: 10_000 });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function no(reason: string): Availability {
  return { ok: false, reason };
}

if (import.meta.main) {
  const availability = vpnAvailable();
  console.log(availability.ok ? 'a VPN can run here' : `no VPN can run here: ${availability.reason}`);
  process.exitCode = availability.ok ? 0 : 1;
}
