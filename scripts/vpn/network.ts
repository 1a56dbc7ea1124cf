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

/**
 * The names carry the maker's pid and start time, so that a later run can tell a namespace whose
 * maker was killed (SIGKILL runs no cleanup) from one that is in use.
 */
export async function createNetwork(): Promise<Network> {
  await removeOrphans();
  const base = `${PREFIX}-${process.pid}-${startTime(process.pid)}-${made++}`;
  const server = `${base}-server`;
  const client = `${base}-client`;
  const undo = atExit(() => removeAtOnce([client, server]));
  const close = async () => {
    await removeNamespace(client);
    await removeNamespace(server);
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

/** The argument vector that runs a command inside a namespace; it replaces itself, so the pid is the command's. */
export function inside(namespace: string, argv: readonly string[]): [string, ...string[]] {
  return ['ip', 'netns', 'exec', namespace, ...argv];
}

/** The processes that live in a namespace now, in no order; none when there is no such namespace. */
export async function processesIn(namespace: string): Promise<number[]> {
  const { stdout } = await run(['ip', 'netns', 'pids', namespace]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function removeNamespace(name: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  let pids = await processesIn(name);
  while (pids.length > 0) {
    if (performance.now() > deadline) throw new Error(`namespace ${name}: cannot kill ${pids.join(', ')}`);
    for (const pid of pids) kill(pid);
    // A killed process leaves when the kernel gets to it, and nothing tells a stranger of its end.
    await delay(10);
    pids = await processesIn(name);
  }
  await run(['ip', 'netns', 'delete', name]);
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
  const names = readNamespaces().filter((name) => name.startsWith(`${PREFIX}-`));
  for (const name of names) {
    const [, pid, started] = name.split('-');
    if (startTime(Number(pid)) !== started) await removeNamespace(name);
  }
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
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name is in parentheses and may hold blanks; the start time is field 22, the 20th after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
