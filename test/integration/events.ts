import type { Agent } from './agent.ts';

/** Events reported, with short waits. */
export const EVENTS = '[events]\nretry_initial = "100ms"\nretry_max = "1s"\n[log]\nlevel = "debug"';

const LONGEST_MS = 20_000;

/** Resolves when no drain is at work. Nothing tells a stranger of a process' end, so this looks. */
export async function gone(agent: Agent): Promise<void> {
  const until = performance.now() + LONGEST_MS;
  while (agent.query<{ lease: string }>('SELECT lease FROM drain')[0]?.lease !== 'free') {
    if (performance.now() > until) throw new Error('the drain stays');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
