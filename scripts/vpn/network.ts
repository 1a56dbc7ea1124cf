import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { atExit } from './at-exit.ts';
import { must, run, toolEnvironment } from './run.ts';

/** Two network namespaces joined by a cable: one for the VPN server and the portal, one for the clients. */
export type Network = {
  readonly server: string;
  readonly client: string;
  readonly serverAddress: '10.99.0.1';
  readonly clientAddress: '10.99.0.2';
  /** Kills whatever still runs in the two namespaces and removes them. May be called again. */
  close(): Promise<void>;
};

const PREFIX = 'ocagent';
let made = 0;

export async function createNetwork(): Promise<Network> {
  await removeOrphans();
  const server = namespaceName('server');
  const client = namespaceName('client');
  const undo = atExit(() => removeAtOnce([client, server]));
  const close = async () => {
    await removeNamespaces([client, server]);
    undo();
  };
  try {
    await must(['ip', 'netns', 'add', server]);
    await must(['ip', 'netns', 'add', client]);
    // Both ends are born inside the namespaces: no interface name on the machine itself can collide.
    const cable = ['link', 'add', 'cable', 'netns', server, 'type', 'veth', 'peer'] as const;
    await must(['ip', ...cable, 'name', 'cable', 'netns', client]);
    for (const [namespace, address] of [
      [server, '10.99.0.1/24'],
      [client, '10.99.0.2/24'],
    ] as const) {
      await must(['ip', '-n', namespace, 'address', 'add', address, 'dev', 'cable']);
      await must(['ip', '-n', namespace, 'link', 'set', 'cable', 'up']);
      await must(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { server, client, serverAddress: '10.99.0.1', clientAddress: '10.99.0.2', close };
}

/**
 * A name of its own for a namespace. It carries the maker's pid and start time, so that a later run can tell one whose
 * maker was killed (SIGKILL runs no clean-up) from one that is in use.
 */
export function namespaceName(use: string): string {
  return `${PREFIX}-${process.pid}-${startTime(process.pid)}-${made++}-${use}`;
}

/** The argument vector that runs a command inside a namespace; it replaces itself, so the pid is the command's. */
export function inside(namespace: string, argv: readonly string[]): [string, ...string[]] {
  return ['ip', 'netns', 'exec', namespace, ...argv];
}

/** The processes that live in a namespace now, in no order; none when there is no such namespace. */
export async function processesIn(namespace: string): Promise<number[]> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function removeNamespaces(names: readonly string[]): Promise<void> {
  const deadline = performance.now() + 10_000;
  // A process leaves its namespace before it has closed its tun device, so each that was there is followed to its end.
  const seen = new Map<number, string | undefined>();
  for (;;) {
    const pids = (await Promise.all(names.map(processesIn))).flat();
    for (const pid of pids) seen.set(pid, startTime(pid));
    for (const pid of pids) kill(pid);
    const left = [...seen].filter(([pid, started]) => isAlive(pid) && startTime(pid) === started);
    if (left.length === 0) break;
    if (performance.now() > deadline) {
      throw new Error(`cannot kill ${left.map(([pid]) => pid)} in the namespaces ${names.join(', ')}`);
    }
    // Nothing tells a stranger of a process's end.
    await delay(10);
  }
  for (const name of names) await run(['ip', 'netns', 'delete', name]);
}

/** Synchronous, for a run that ends by an exception or a signal. */
function removeAtOnce(names: readonly string[]): void {
  const ip = (...args: string[]) => spawnSync('ip', args, { env: toolEnvironment(), encoding: 'utf8' });
  for (const name of names) {
    for (const pid of (ip('netns', 'pids', name).stdout ?? '').split('\n').filter(Boolean)) kill(Number(pid));
    ip('netns', 'delete', name);
  }
}

async function removeOrphans(): Promise<void> {
  const orphans = readNamespaces().filter((name) => {
    const [prefix, pid, started] = name.split('-');
    return prefix === PREFIX && startTime(Number(pid)) !== started;
  });
  await removeNamespaces(orphans);
}

function readNamespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}

/** The kernel's start time of a process (clock ticks since boot): with the pid it names one process for ever. */
function startTime(pid: number): string | undefined {
  return processStatus(pid)[19];
}

/** Whether a process still runs; one that is dead and waits for its parent to look does not. */
export function isAlive(pid: number): boolean {
  const state = processStatus(pid)[0];
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** The fields of /proc/PID/stat from the third, the state, on; none when there is no such process. */
function processStatus(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Before them comes the command's name, in parentheses, which may hold blanks and parentheses of its own.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
