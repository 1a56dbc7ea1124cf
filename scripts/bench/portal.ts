import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Hello, Tally } from './portal-process.ts';

/** The development portal as a process of its own, which lets everybody in and takes every event. */
export interface BenchPortal {
  readonly address: string;
  /** What it has seen since the last time. */
  tally(): Promise<Tally>;
  end(): Promise<void>;
}

/** @param certificates the folder that makeCertificates has written. */
export async function startBenchPortal(certificates: string): Promise<BenchPortal> {
  const child = fork(join(import.meta.dirname, 'portal-process.ts'), [certificates], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const { address } = await answer<Hello>(child);
  return {
    address,
    async tally() {
      child.send('tally');
      return answer<Tally>(child);
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

async function answer<T>(child: ChildProcess): Promise<T> {
  const gone = new AbortController();
  const onExit = (): void => gone.abort();
  child.once('exit', onExit);
  try {
    const [message] = await once(child, 'message', { signal: gone.signal });
    return message as T;
  } catch (cause) {
    throw new Error("the bench's portal has gone", { cause });
  } finally {
    child.off('exit', onExit);
  }
}
