import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { answer } from './answer.ts';
import type { Ask, Hello, Tally } from './portal-process.ts';

/** The development portal as a process of its own, which decides by population.ts and takes every event. */
export interface BenchPortal {
  readonly address: string;
  /** What it has seen since the last time; with `taken`, once it has taken so many events or they do not come. */
  tally(taken?: number): Promise<Tally>;
  end(): Promise<void>;
}

/** Milliseconds: a drain that does not come in that time does not come at all. */
const PATIENCE_MS = 20_000;

/** @param certificates the folder that makeCertificates has written. */
export async function startBenchPortal(certificates: string): Promise<BenchPortal> {
  const child = fork(join(import.meta.dirname, 'portal-process.ts'), [certificates], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const { address } = await answer<Hello>(child);
  goFirst(child);
  return {
    address,
    async tally(taken = 0) {
      child.send({ taken, patience: PATIENCE_MS } satisfies Ask);
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

/** It stands for another machine, which a storm on this one does not keep from answering. */
function goFirst({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, constants.priority.PRIORITY_HIGHEST);
  } catch {
    // Only root may.
  }
}
