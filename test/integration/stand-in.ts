import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, LAUNCHER } from './agent.ts';

/** The launcher over a stand-in for Node: what the shell does with its child is what is tried. */
export function over(agent: Agent, script: string): string {
  const home = join(agent.folder, 'home');
  for (const folder of ['bin', 'dist', 'node_modules/.bin'])
    mkdirSync(join(home, folder), { recursive: true });
  copyFileSync(LAUNCHER, join(home, 'bin', 'ocagent-hook'));
  // The stand-in does not read it; but a drain takes calls only of its own program.
  const boot = join(home, 'dist', 'boot.cjs');
  if (!existsSync(boot)) symlinkSync(join(LAUNCHER, '..', '..', 'dist', 'boot.cjs'), boot);
  const node = join(home, 'node_modules/.bin/node');
  writeFileSync(node, `#!/bin/sh\n${script}\n`);
  chmodSync(node, 0o755);
  return join(home, 'bin', 'ocagent-hook');
}

/** Of nobody else's, so that the processes are counted of this one's alone. */
export const STRANGER = 61_234;

/** Runs the command line after it as a stranger who may have only so many processes. */
export function withProcesses(most: number): readonly string[] {
  const stranger = ['setpriv', `--reuid=${STRANGER}`, `--regid=${STRANGER}`, '--clear-groups'];
  return [...stranger, 'prlimit', `--nproc=${most}`];
}
