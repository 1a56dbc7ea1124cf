import { setTimeout as delay } from 'node:timers/promises';
import type { Installation } from '../stage/installation.ts';

const EVERY_MS = 1_000;

/** Keeps a file for node_exporter's textfile collector current while something goes on, as cron would, but every second. */
export async function keepingMetricsFile<T>(
  file: string,
  installation: Installation,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const written = (async () => {
    while (!over.signal.aborted) {
      await installation.command('metrics', 'show', '--output', file);
      await delay(EVERY_MS, undefined, { signal: over.signal }).catch(() => {});
    }
    await installation.command('metrics', 'show', '--output', file);
  })();
  try {
    return await work();
  } finally {
    over.abort();
    await written;
  }
}
