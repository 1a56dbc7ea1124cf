import { ConfigError, configFile, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { DEFAULT_LOG, Log } from '../log/log.ts';
import { connect } from './connect.ts';
import { disconnect } from './disconnect.ts';
import { spent } from './elapsed.ts';
import { type HookCall, readCall } from './environment.ts';
import { figures } from './figures.ts';
import { hostUpdate } from './host-update.ts';
import { DRAIN_WANTED, launcherAnswers } from './launcher.ts';
import { leave } from './leave.ts';
import type { Outcome } from './outcome.ts';
import { leaveSlot, writePatience } from './slot.ts';

/** Exit statuses of hook mode (contract/cli.md). 1 is set before anything else runs, by src/main.ts. */
const FAULT = 1;
const UNUSABLE = 2;
const TERMINATED = 5;

/** Milliseconds that the log may still take once the answer of a connect stands; ocserv waits for it. */
const FLUSH_MS = 250;
/** For anything else nobody waits, and its line may be the only trace. */
const PATIENT_FLUSH_MS = 10_000;

type Served = Exclude<HookCall, { reason: 'refused' }>;

/** One call of ocserv's, from its environment to the exit status. */
export async function runHook(): Promise<void> {
  let final: number | null = null;
  let stays = false;
  let log = new Log(DEFAULT_LOG);
  let config: Config | null = null;
  const call = readCall(process.env);

  // ocserv waits for a connect that it told to end, so it ends at once; a status other than 0 tells it that no session
  // came up. Once the answer stands it stands; and a disconnect happens only once, so it is not given up at all.
  process.on('SIGTERM', () => {
    if (process.env['REASON'] === 'connect' && (final === null || stays)) leave(TERMINATED);
  });
  const fault = (error: unknown): void => {
    if (final !== null) return;
    // A call that is invalid would have been denied without a fault, too.
    const valid = call.reason === 'connect' && call.invalid === null;
    const letIn = call.reason === 'connect' && config !== null && letsInOnFault(config, valid);
    log.error(letIn ? 'internal fault: let in by the configuration' : 'internal fault', {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      ...(call.reason === 'refused' ? {} : figuresOf(call)),
    });
    void end(letIn ? 0 : FAULT);
  };
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);

  try {
    if (call.reason === 'refused') {
      log.error(call.why, { reason: process.env['REASON'], cure: call.cure, ...rawFigures() });
      return await end(UNUSABLE);
    }
    config = await loadConfig(configFile());
    log = new Log(config.log);
    writePatience(config);
    const { status, drain, stay } = await serve(call, config, log);
    await end(status, drain, stay);
  } catch (error) {
    if (!(error instanceof ConfigError)) return fault(error);
    for (const problem of error.problems) log.error('configuration error', { error: problem });
    log.error('the configuration cannot be used: nothing was asked or recorded', {
      ...(call.reason === 'refused' ? {} : figuresOf(call)),
      cure: 'mend it; ocagent-hook config check names every error',
    });
    await end(UNUSABLE);
  }

  async function end(code: number, drain = false, stay?: Outcome['stay']): Promise<void> {
    final ??= drain ? code + DRAIN_WANTED : code;
    leaveSlot();
    const written = await log.flush(call.reason === 'connect' ? connectFlush(config) : PATIENT_FLUSH_MS);
    if (stay === undefined) leave(final, !written);
    stays = true;
    // The launcher answers ocserv. One that does not hear is answered as ever: by the end of this process.
    if (await launcherAnswers(final)) await stay();
    leave(final, !(await log.flush(PATIENT_FLUSH_MS)));
  }
}

function serve(call: Served, config: Config, log: Log): Promise<Outcome> {
  switch (call.reason) {
    case 'connect':
      return connect(call.session, call.invalid, config, log);
    case 'disconnect':
      return disconnect(call.session, call.stats, config, log);
    case 'host-update':
      return hostUpdate(call.session, config, log);
  }
}

function connectFlush(config: Config | null): number {
  // Past the deadline a little still: the line that says so is the one that is needed most.
  const left = config === null ? FLUSH_MS : Math.max(100, config.hook.deadline - spent());
  return Math.min(FLUSH_MS, left);
}

function letsInOnFault({ hook, resilience }: Config, valid: boolean): boolean {
  return hook.mode === 'observe' || (valid && resilience.fail_mode === 'open');
}

function figuresOf(call: Served): Record<string, unknown> {
  return { reason: call.reason, ...figures(call.session, call.reason === 'disconnect' ? call.stats : null) };
}

/** A call that lacks what it needs: whatever ocserv did set, so that nothing is lost. */
function rawFigures(): Record<string, string | undefined> {
  const names = [
    'USERNAME',
    'GROUPNAME',
    'VHOST',
    'ID',
    'IP_REAL',
    'IP_REMOTE',
    'STATS_BYTES_IN',
    'STATS_BYTES_OUT',
  ];
  return Object.fromEntries([...names, 'STATS_DURATION'].map((name) => [name, process.env[name]]));
}
