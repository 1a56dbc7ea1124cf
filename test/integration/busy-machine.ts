/** A machine where more wants to run than can, as hooks and their launcher see it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Agent } from './agent.ts';

/** What makes a machine busy: more than two programs for each processor. */
export const BUSY = 2 * availableParallelism() + 1;

/** Runs the command line after it where as many programs want to run, as the launcher sees it. */
export function whereRunnable(agent: Agent, programs: number): readonly string[] {
  const loadavg = join(agent.folder, 'loadavg');
  writeFileSync(loadavg, `0.00 0.00 0.00 ${programs}/100 4711\n`);
  const mount = 'mount --bind "$0" /proc/loadavg && exec "$@"';
  return ['unshare', '--mount', 'sh', '-c', mount, loadavg];
}

/**
 * A machine of this agent's own, likewise, which is as busy as is said each time. What runs on it sees the same files, as all hooks of an ocserv do: only
 * those can a drain answer for.
 */
export async function ownMachine(agent: Agent): Promise<Machine & Disposable> {
  const [unshare = '', ...args] = whereRunnable(agent, 1);
  const holder = spawn(unshare, [...args, 'sh', '-c', 'echo ready; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(holder.stdout, 'data');
  const on = (programs: number): readonly string[] => {
    whereRunnable(agent, programs);
    return ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`];
  };
  return { on, [Symbol.dispose]: () => holder.kill('SIGKILL') };
}

export interface Machine {
  /** Runs the command line after it there, where as many programs want to run from now on. */
  on(programs: number): readonly string[];
}

/** As a hook has written it down, in seconds. */
export function patience(agent: Agent, seconds: string): void {
  mkdirSync(agent.runDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(agent.runDir, 'patience'), `${seconds}\n`);
}

/** bin/ocagent-hook, SLOTS_PER_PROCESSOR; these machines have all their processors online. */
export const SLOTS = 3 * availableParallelism();

/** All slots, taken by processes that do nothing, until each is left. */
export async function takeAll(
  agent: Agent,
): Promise<{ leave(slot: number): void; leaveAll(): void } & Disposable> {
  patience(agent, '60');
  const holders: ChildProcess[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const file = join(agent.runDir, `slot-${slot}`);
    const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    holders.push(holder);
    if (holder.stdout !== null) await once(holder.stdout, 'data');
  }
  const leave = (slot: number): void => {
    const { pid } = holders[slot] ?? {};
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    delete holders[slot];
  };
  const leaveAll = (): void => {
    for (const slot of holders.keys()) leave(slot);
  };
  return { leave, leaveAll, [Symbol.dispose]: leaveAll };
}

/** The files that somebody waits for the lock of, once for each who does: the kernel marks them (proc(5), locks). */
export function awaitedInodes(): number[] {
  return [...readFileSync('/proc/locks', 'latin1').matchAll(/-> FLOCK .* \w+:\w+:(\d+) /g)].map(([, inode]) =>
    Number(inode),
  );
}

/** The slots that somebody waits for. */
export function awaited(agent: Agent): number[] {
  const waits = awaitedInodes();
  return readdirSync(agent.runDir)
    .filter((name) => name.startsWith('slot-') && waits.includes(statSync(join(agent.runDir, name)).ino))
    .map((name) => Number(name.slice('slot-'.length)));
}
