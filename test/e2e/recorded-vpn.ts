import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Connected, Refused } from '../../scripts/vpn/client.ts';
import { startVpn, type Vpn, type VpnOptions } from '../../scripts/vpn/vpn.ts';
import { createWorkFolder } from '../../scripts/vpn/work-folder.ts';
import { type RecordingHook, recordingHook } from './recording-hook.ts';

/** A VPN whose scripts are one recording hook, for the length of one test. */
export async function recordedVpn(
  t: Pick<TestContext, 'after'>,
  { body, ...options }: Omit<VpnOptions, 'scripts' | 'folder'> & { body?: string },
): Promise<{ vpn: Vpn; hook: RecordingHook }> {
  const folder = await createWorkFolder();
  let vpn: Vpn | undefined;
  t.after(async () => {
    await vpn?.close();
    await folder.remove();
  });
  const hook = await recordingHook(folder.path, body);
  const scripts = { connect: hook.script, disconnect: hook.script, hostUpdate: hook.script };
  vpn = await startVpn({ ...options, scripts, folder: folder.path });
  return { vpn, hook };
}

export function assertConnected(outcome: Connected | Refused): asserts outcome is Connected {
  if (!outcome.connected) assert.fail(`refused: ${outcome.output}`);
}

export function assertRefused(outcome: Connected | Refused): asserts outcome is Refused {
  if (outcome.connected) assert.fail(`connected as ${outcome.vpnIp}`);
}
