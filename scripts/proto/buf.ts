/** Runs the pinned buf. Nothing here needs a network: no remote plugins, no remote modules. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
const BIN = join(ROOT, 'node_modules/.bin');

export interface BufResult {
  status: number;
  stdout: Buffer;
  stderr: string;
}

export function buf(...args: string[]): BufResult {
  const program = join(BIN, 'buf');
  if (!existsSync(program)) throw new Error(`${program} is missing; run: npm ci`);
  const result = spawnSync(program, args, {
    cwd: ROOT,
    // buf finds its plugin there, and the plugin the pinned node.
    env: { ...process.env, PATH: `${BIN}${delimiter}${process.env['PATH'] ?? ''}` },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error !== undefined)
    throw new Error(`cannot run ${program}: ${result.error.message}; run: npm ci`);
  return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr.toString().trim() };
}
