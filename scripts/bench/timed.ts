import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

/** Milliseconds. */
export interface Cost {
  readonly wall: number;
  /** User and system, of the command and the children that it waited for. */
  readonly cpu: number;
}

export type Command = readonly [string, ...string[]];

const TIME = join(import.meta.dirname, 'time.bash');

/**
 * Runs a command that must end with status 0.
 * @param errors where its stderr goes.
 */
export async function timed(
  command: Command,
  env: Readonly<Record<string, string>> = {},
  errors: 'ignore' | 'inherit' = 'ignore',
): Promise<Cost> {
  const child = spawn('bash', [TIME, ...command], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', errors, 'pipe'],
  });
  const [said] = await Promise.all([text(child.stdio[3] as Readable), once(child, 'exit')]);
  const [user, system, status, microseconds] = said.trim().split(/\s+/).map(Number);
  if (status !== 0 || microseconds === undefined) {
    throw new Error(
      `${command.join(' ')} ended with ${status}: a bench of something that fails tells nothing`,
    );
  }
  return { wall: microseconds / 1_000, cpu: 1_000 * ((user ?? Number.NaN) + (system ?? Number.NaN)) };
}

/** What a command prints that must end with status 0. */
export async function output(
  [program, ...args]: Command,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
  return said;
}
