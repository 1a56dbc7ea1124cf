import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Peak, watchMemory } from './memory.ts';
import { GROUP } from './population.ts';
import type { Command } from './timed.ts';

const STORM = join(import.meta.dirname, 'storm.bash');

/** How one process of a storm ended. */
export interface Ending {
  /** Of its user. */
  readonly number: number;
  readonly status: number;
  /** What it wrote to stderr. */
  readonly log: string;
}

export interface Storm {
  /** Processes per second, from the first start to the last end. */
  readonly rate: number;
  /** Milliseconds of CPU for each. */
  readonly cpu: number;
  /** The share of this machine's processors that went to anything but these processes meanwhile, from 0 to 1. */
  readonly elsewhere: number;
  readonly peak: Peak;
  readonly endings: readonly Ending[];
}

/**
 * Starts a command for `count` users at once, from number `first` on, and waits for all.
 * @param folder for their logs; their configuration is below it, so that their processes are known.
 */
export async function storm(
  folder: string,
  command: Command,
  { count, first, env }: { count: number; first: number; env: Readonly<Record<string, string>> },
): Promise<Storm> {
  const logs = mkdtempSync(join(folder, 'logs-'));
  const peak = watchMemory(folder);
  const busyBefore = busy();
  const child = spawn('bash', [STORM, `${count}`, `${first}`, logs, ...command], {
    env: { PATH: process.env['PATH'], REASON: 'connect', GROUPNAME: GROUP, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const [, took] = /^took (\d+)$/m.exec(said) ?? [];
  const statuses = [...said.matchAll(/^(\d+) (\d+)$/gm)].map((match) => match.slice(1).map(Number));
  if (took === undefined || statuses.length !== count)
    throw new Error(`the storm did not come to its end: ${said}`);
  const seconds = Number(took) / 1e6;
  const cpu = childrensCpu(said);
  return {
    rate: count / seconds,
    cpu: (1_000 * cpu) / count,
    elsewhere: Math.max(0, busy() - busyBefore - cpu) / (seconds * cpus().length),
    peak: peak(),
    endings: statuses.map(([number = 0, status = 0]) => ({
      number,
      status,
      log: readFileSync(join(logs, `${number}`), 'utf8'),
    })),
  };
}

/** Seconds that all processors together have worked. */
function busy(): number {
  return (
    cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0) / 1_000
  );
}

/** Seconds: the second line of bash's `times`, as `0m1.234s 0m0.567s`. */
function childrensCpu(said: string): number {
  const spans = [...said.matchAll(/(\d+)m([\d.]+)s/g)].slice(-2);
  return spans.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}
