import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import type { State } from '../state/state.ts';
import { exportMetrics } from './export.ts';

/** Exports the metrics beside some work and after it, whenever `telemetry.interval` has passed. It neither delays the work nor fails it. */
export async function exportAlong<T>(
  work: () => Promise<T>,
  config: Config,
  state: State,
  log: Log,
): Promise<T> {
  const { enabled, interval } = config.telemetry;
  if (!enabled) return work();
  let running: Promise<void> | null = null;
  const run = (): void => {
    running ??= exportAndTell(config, state, log).finally(() => {
      running = null;
    });
  };
  const timer = setInterval(run, interval);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    run();
    await running;
  }
}

async function exportAndTell(config: Config, state: State, log: Log): Promise<void> {
  try {
    const result = await exportMetrics(config, state, config.telemetry.interval);
    if (result.kind === 'no collector') log.debug('metrics not exported', { reason: result.why });
    if (result.kind !== 'failed') return;
    const { lastSuccess, lastErrorAt } = result.before;
    // Said once when it begins to fail, not every few seconds.
    const isNew = lastErrorAt === null || (lastSuccess !== null && lastSuccess > lastErrorAt);
    log.line(isNew ? 'warn' : 'debug', 'metrics not exported', {
      error: result.why,
      cure: 'see telemetry.endpoint and the collector; nothing is lost: counters are cumulative',
    });
  } catch (error) {
    log.warn('metrics not exported', { error: (error as Error).message });
  }
}
