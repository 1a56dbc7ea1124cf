import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from '../../src/state/process.ts';
import type { Agent } from './agent.ts';

/** Events reported, with short waits. */
export const EVENTS = '[events]\nretry_initial = "100ms"\nretry_max = "1s"\n[log]\nlevel = "debug"';

/** The hook without its launcher: it leaves events behind, and nobody starts a drain. */
export const WITHOUT_DRAIN = [process.execPath, join(import.meta.dirname, '..', '..', 'dist', 'boot.cjs')];

const LONGEST_MS = 20_000;

/** Resolves when no drain is at work. Nothing tells a stranger of a process' end, so this looks. */
export async function gone(agent: Agent): Promise<void> {
  const until = performance.now() + LONGEST_MS;
  for (;;) {
    const [drain] = agent.query<{ lease: string; pid: number }>('SELECT lease, pid FROM drain');
    if (drain === undefined || (drain.lease === 'free' && (drain.pid === 0 || hasEnded(drain.pid)))) return;
    if (performance.now() > until) throw new Error('the drain stays');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** With all its threads: one that is slow to die still has its process' files open, and a file system that is in use. */
function hasEnded(pid: number): boolean {
  if (isAlive(pid)) return false;
  try {
    return readdirSync(`/proc/${pid}/task`).length <= 1;
  } catch {
    return true;
  }
}

/** How many events the portal has not taken, failed ones not counted. */
export function pending(agent: Agent): number {
  return agent.query<{ pending: number }>('SELECT pending FROM event_size')[0]?.pending ?? 0;
}

/** All that was written to stderr, a drain's lines too, which come after its hook has ended. */
export function stderrOf({ folder }: Agent): string {
  const files = readdirSync(folder).filter((name) => name.startsWith('stderr-'));
  return files.map((name) => readFileSync(join(folder, name), 'utf8')).join('');
}
