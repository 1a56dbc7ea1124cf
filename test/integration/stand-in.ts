import { copyFileSync, existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, LAUNCHER } from './agent.ts';

/**
 * The launcher over a stand-in for Node: what the shell does with its child is what is tried.
 * @param asDrain what it does as the drain that hooks on a busy machine wait for.
 */
export function over(agent: Agent, script: string, asDrain = 'exit 0'): string {
  const home = join(agent.folder, 'home');
  for (const folder of ['bin', 'dist', 'node_modules/.bin'])
    mkdirSync(join(home, folder), { recursive: true });
  copyFileSync(LAUNCHER, join(home, 'bin', 'ocagent-hook'));
  // The stand-in does not read it; but a drain takes calls only of its own program.
  const boot = join(home, 'dist', 'boot.cjs');
  if (!existsSync(boot)) symlinkSync(join(LAUNCHER, '..', '..', 'dist', 'boot.cjs'), boot);
  const node = join(home, 'node_modules/.bin/node');
  const first = `case "$OCAGENT_SLOT $*" in '9 '*' drain') ${asDrain} ;; esac`;
  // An earlier one may just be starting.
  writeFileSync(`${node}.new`, `#!/bin/sh\n${first}\n${script}\n`, { mode: 0o755 });
  renameSync(`${node}.new`, node);
  return join(home, 'bin', 'ocagent-hook');
}

/** Of nobody else's, so that the processes are counted of this one's alone. */
export const STRANGER = 61_234;

/** Runs the command line after it as a stranger who may have only so many processes. */
export function withProcesses(most: number): readonly string[] {
  const stranger = ['setpriv', `--reuid=${STRANGER}`, `--regid=${STRANGER}`, '--clear-groups'];
  return [...stranger, 'prlimit', `--nproc=${most}`];
}
