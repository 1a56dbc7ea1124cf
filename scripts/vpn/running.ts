import { spawn } from 'node:child_process';
import { Lines } from './lines.ts';

/** How a process ended: its status, or the signal that ended it. */
export type Exit = { status: number | null; signal: NodeJS.Signals | null };

/** A process that goes on beside us: a server, a client, a portal. */
export type Running = {
  readonly pid: number;
  readonly log: Lines;
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and resolves when the process is gone; rejects after `timeout` milliseconds. */
  end(signal: NodeJS.Signals, timeout?: number): Promise<Exit>;
};

/**
 * Starts a process without a shell, in a process group of its own: a Ctrl-C meant for us does not reach it before
 * we end it in order, and ocserv, which kills its whole group when it shuts down, does not take us along.
 */
export async function start(
  argv: readonly [string, ...string[]],
  options: { env: NodeJS.ProcessEnv; cwd?: string; input?: string },
): Promise<Running> {
  const [command, ...args] = argv;
  const child = spawn(command, args, {
    detached: true,
    env: options.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const name = argv.find((word) => /^(ocserv|openconnect)$/.test(word)) ?? command;
  const log = new Lines(name, child.stdout, child.stderr);
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (status, signal) => resolve({ status, signal }));
  });
  return {
    pid: child.pid ?? 0,
    log,
    exited,
    get running() {
      return child.exitCode === null && child.signalCode === null;
    },
    signal: (signal) => {
      child.kill(signal);
    },
    end: (signal, timeout = 20_000) => {
      child.kill(signal);
      return within(exited, timeout, () => `${name} did not end by ${signal}. It printed last:\n${log.tail}`);
    },
  };
}

/** The promise, or a rejection that says what did not happen when it takes longer than `timeout` milliseconds. */
export async function within<T>(promise: Promise<T>, timeout: number, complaint: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${complaint()} (waited ${timeout} ms)`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
