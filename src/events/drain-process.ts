import { ConfigError, configFile, loadConfig } from '../config/load.ts';
import { openState } from '../leader/open-state.ts';
import { DEFAULT_LOG, Log } from '../log/log.ts';
import { standBack } from '../state/hurry.ts';
import { CHECKPOINT_PAGES } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { exportAlong } from '../telemetry/along.ts';
import { deliver } from './deliver.ts';

/** Milliseconds to stay when nothing is left: traffic that comes more often than that starts one drain. */
const LINGER_MS = 2_000;
/** Nobody waits for a drain, so it can wait for the state. */
const PATIENCE_MS = 10 * 60_000;
const FLUSH_MS = 5_000;

/** The detached process that delivers what hooks have left (bin/ocagent-hook starts it), and goes when there is nothing to do. */
export async function runDrain(): Promise<void> {
  let log = new Log(DEFAULT_LOG);
  let code = 1;
  try {
    const config = await loadConfig(configFile());
    log = new Log(config.log);
    // ocserv's folder must not be held by a process that outlives it.
    process.chdir('/');
    standBack();
    const state = await openState(config, log, {
      patience: PATIENCE_MS,
      checkpointPages: CHECKPOINT_PAGES,
    });
    const work = () => deliver(config, state, log, { force: false, linger: LINGER_MS, leads: true });
    const report = await exportAlong(work, config, state, log);
    if (report !== null) {
      const { away, ...counts } = report;
      log.line(away === null ? 'debug' : 'warn', 'drain ended', {
        ...counts,
        ...(away === null ? {} : { code: away.code, error: away.detail, cure: away.cure }),
      });
    }
    code = 0;
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) log.error('configuration error', { error: problem });
    } else if (error instanceof StateUnusable) {
      log.error('events cannot be delivered: the state cannot be used', {
        reason: error.message,
        cure: error.cure,
      });
    } else {
      log.error('internal fault in the drain', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }
  await log.flush(FLUSH_MS);
  process.exit(code);
}
