import type { Config } from '../config/schema.ts';
import { readCall } from '../hook/environment.ts';
import { statusFor } from '../hook/launcher.ts';
import { flushLimit, reportFault, type Served, serve } from '../hook/serve.ts';
import { Log, STDERR } from '../log/log.ts';
import { type Answer, TakenBack } from './answer.ts';
import { HandedOverCaller, type Shared } from './caller.ts';
import type { HandedOver } from './handed-over.ts';
import { stderrOf } from './stderr.ts';

/** Milliseconds that the log may take before the answer; what is not out by then follows. */
export const FLUSH_MS = 1_000;

/**
 * A call that was handed over, served as by a process of its own.
 * @param ownLog this process' own.
 * @returns the exit status; null where the launcher had better start a process of its own.
 * @throws {TakenBack} where it has.
 */
export async function serveCall(
  handed: HandedOver,
  answer: Answer,
  shared: Shared,
  config: Config,
  ownLog: Log,
): Promise<number | null> {
  const call = readCall(handed.env);
  if (call.reason === 'refused') return null;
  const log = logFor(handed, config, ownLog);
  if (log === null) return null;
  const caller = new HandedOverCaller(handed, answer, shared);
  try {
    const status = await statusOf(call, caller, answer, config, log);
    await log.flush(Math.min(FLUSH_MS, flushLimit(call, caller, config)));
    return status;
  } finally {
    if (log !== ownLog) shared.logs.close(log);
  }
}

/** A hook's own: a file is opened by each, so that it can be rotated. Null where there is no way to its stderr. */
function logFor({ pid }: HandedOver, config: Config, ownLog: Log): Log | null {
  if (config.log.file !== '') return new Log(config.log);
  const stderr = stderrOf(pid);
  if (stderr === null) return null;
  return stderr === STDERR ? ownLog : new Log(config.log, stderr);
}

async function statusOf(
  call: Served,
  caller: HandedOverCaller,
  answer: Answer,
  config: Config,
  log: Log,
): Promise<number | null> {
  try {
    const { status, drain } = await serve(call, caller, config, log);
    return statusFor(status, drain);
  } catch (error) {
    if (error instanceof TakenBack) throw error;
    // As long as nothing was done, that process will do it, or tell what is wrong.
    return answer.isOurs ? reportFault(error, call, config, log) : null;
  }
}
