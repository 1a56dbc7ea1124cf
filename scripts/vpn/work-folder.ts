import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from './at-exit.ts';

export type WorkFolder = { readonly path: string; remove(): Promise<void> };

/** A new folder for one VPN's files. Not below a home folder: ocserv's workers, as nobody, could not get there. */
export async function createWorkFolder(): Promise<WorkFolder> {
  const path = await mkdtemp(join(tmpdir(), 'ocagent-vpn-'));
  const options = { recursive: true, force: true } as const;
  const callOff = atExit(() => rmSync(path, options));
  return {
    path,
    async remove() {
      await rm(path, options);
      callOff();
    },
  };
}
