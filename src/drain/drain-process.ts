import { ConfigError, configFile, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { type Along, deliver } from '../events/deliver.ts';
import type { DrainReport } from '../events/drain.ts';
import { leave } from '../hook/leave.ts';
import { PATIENT_FLUSH_MS } from '../hook/serve.ts';
import { expectNoDrain, expectOther, failExpected, leaveSlot } from '../hook/slot.ts';
import { DRAIN_COMES_WITHIN } from '../hook/turn.ts';
import { leadAlong } from '../leader/along.ts';
import { openState } from '../leader/open-state.ts';
import { DEFAULT_LOG, Log } from '../log/log.ts';
import { portalIdentity } from '../portal/identity.ts';
import { drainStatus } from '../state/drain.ts';
import { standBack } from '../state/hurry.ts';
import { OpenStates } from '../state/open-states.ts';
import { CHECKPOINT_PAGES, type State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { exportAlong } from '../telemetry/along.ts';
import { basis } from './basis.ts';
import { ClosingLogs } from './closing-logs.ts';
import { receiveAlong } from './reception.ts';
import { takeDownSign } from './sign.ts';

/** Milliseconds to stay when nothing is left: traffic that comes more often than that starts one drain. */
const LINGER_MS = 2_000;
/** Nobody waits for a drain, so it can wait for the state. */
const PATIENCE_MS = 10 * 60_000;
const FLUSH_MS = 5_000;

/**
 * The detached process that delivers what hooks have left (bin/ocagent-hook starts it), and goes when there is nothing to do. While it is
 * there it spares hooks what it has already: a connection to the portal and, where they can hand their call over, a process.
 */
export async function runDrain(): Promise<void> {
  let log = new Log(DEFAULT_LOG);
  const logs = new ClosingLogs();
  let code = 1;
  const end = async (): Promise<never> => {
    const written = await Promise.all([log.flush(FLUSH_MS), logs.flush(PATIENT_FLUSH_MS)]);
    return leave(code, written.includes(false));
  };
  process.once('uncaughtException', (error) => {
    // Nobody is to hand a call over to it any more; a second fault ends it at once.
    takeDownSign();
    code = 1;
    reportFault(error, log);
    void end();
  });
  // Whatever it is held up by must not hold up hooks for longer.
  setTimeout(leaveSlot, DRAIN_COMES_WITHIN * 1_000).unref();
  try {
    const file = configFile();
    const before = basis(file);
    const config = await loadConfig(file);
    const portal = portalIdentity(config);
    log = new Log(config.log);
    // ocserv's folder must not be held by a process that outlives it.
    process.chdir('/');
    const isStale = (): boolean => basis(file) !== before || portalIdentity(config) !== portal;
    await work(config, isStale, log, logs);
    code = 0;
  } catch (error) {
    failExpected();
    if (error instanceof ConfigError) {
      for (const problem of error.problems) log.error('configuration error', { error: problem });
    } else if (error instanceof StateUnusable) {
      log.error('events cannot be delivered: the state cannot be used', {
        reason: error.message,
        cure: error.cure,
      });
    } else {
      reportFault(error, log);
    }
  }
  await end();
}

function reportFault(error: unknown, log: Log): void {
  log.error('internal fault in the drain', {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}

/** @throws {StateUnusable} */
async function work(config: Config, isStale: () => boolean, log: Log, logs: ClosingLogs): Promise<void> {
  const states = new OpenStates();
  // On a busy machine it may be there before the first hook of all.
  const options = { patience: PATIENCE_MS, checkpointPages: CHECKPOINT_PAGES, create: true };
  const open = () => openState(config, log, options, (found) => states.open(found));
  const state = await open();
  const portalFailed = new AbortController();
  let takesCalls = true;
  const along: Along = (delivering, calls) => {
    // Whoever takes calls is waited for; events can wait, and connects cannot.
    const onClosed = (): void => {
      takesCalls = false;
      standBack();
    };
    const means = {
      config,
      log,
      calls,
      states,
      logs,
      isStale,
      onClosed,
      onPortalFailed: () => portalFailed.abort(),
    };
    const working = async (isWanted: () => boolean): Promise<DrainReport> => {
      // It takes calls now, or will not.
      leaveSlot();
      return tell(await delivering(isWanted), log);
    };
    const attending = () => receiveAlong(working, means);
    // Also when all is delivered: hooks that had started before it took calls leave their questions to whoever leads.
    return leadAlong(attending, config, open, calls, log, portalFailed.signal, () => takesCalls);
  };
  const delivered = async (): Promise<void> => {
    const report = await deliver(config, state, log, { force: false, linger: LINGER_MS, along });
    if (report === null) await leaveToOther(state);
  };
  await exportAlong(delivered, config, state, log);
}

/** Where another process does it already, or nothing can be recorded. */
async function leaveToOther(state: State): Promise<void> {
  const cannotRecord = state.unrecorded !== null;
  const { pid } = await state.read(drainStatus);
  if (pid !== null) expectOther(pid);
  else if (cannotRecord) expectNoDrain();
  leaveSlot();
}

function tell(report: DrainReport, log: Log): DrainReport {
  const { away, ...counts } = report;
  log.line(away === null ? 'debug' : 'warn', 'drain ended', {
    ...counts,
    ...(away === null ? {} : { code: away.code, error: away.detail, cure: away.cure }),
  });
  return report;
}
