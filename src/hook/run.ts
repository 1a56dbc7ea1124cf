import { ConfigError, configFile, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { DEFAULT_LOG, Log } from '../log/log.ts';
import { launcherWaits } from '../state/process.ts';
import { readCall } from './environment.ts';
import { launcherAnswers, statusFor } from './launcher.ts';
import { leave } from './leave.ts';
import type { Outcome } from './outcome.ts';
import { OWN_CALL } from './own-call.ts';
import { figuresOf, flushLimit, PATIENT_FLUSH_MS, reportFault, serve } from './serve.ts';
import { leaveSlot, writePatience } from './slot.ts';

/** Exit statuses of hook mode (contract/cli.md). 1 is set before anything else runs, by src/boot.cjs. */
const UNUSABLE = 2;
const TERMINATED = 5;

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
    // One that stays for others, though, goes when nobody waits for its own answer any more.
    const isToldAlready = stays && !launcherWaits();
    if (process.env['REASON'] === 'connect' && (final === null || isToldAlready)) leave(TERMINATED);
  });
  const fault = (error: unknown): void => {
    if (final !== null) return;
    void end(reportFault(error, call, config, log));
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
    const { status, drain, stay } = await serve(call, OWN_CALL, config, log);
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
    final ??= statusFor(code, drain);
    leaveSlot();
    const written = await log.flush(flushLimit(call, OWN_CALL, config));
    if (stay === undefined) leave(final, !written);
    stays = true;
    // The launcher answers ocserv. One that does not hear is answered as ever: by the end of this process.
    if (await launcherAnswers(final)) await stay();
    leave(final, !(await log.flush(PATIENT_FLUSH_MS)));
  }
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
