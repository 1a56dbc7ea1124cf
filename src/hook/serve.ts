import type { Config } from '../config/schema.ts';
import type { Fields } from '../log/line.ts';
import type { Log } from '../log/log.ts';
import type { Caller } from './caller.ts';
import { connect } from './connect.ts';
import { disconnect } from './disconnect.ts';
import type { HookCall } from './environment.ts';
import { figures } from './figures.ts';
import { hostUpdate } from './host-update.ts';
import type { Outcome } from './outcome.ts';

const FAULT = 1;

/** Milliseconds that the log may still take once the answer of a connect stands; ocserv waits for it. */
const FLUSH_MS = 250;
/** For anything else nobody waits, and its line may be the only trace. */
export const PATIENT_FLUSH_MS = 10_000;

/** A call that can be served. */
export type Served = Exclude<HookCall, { reason: 'refused' }>;

export function serve(call: Served, caller: Caller, config: Config, log: Log): Promise<Outcome> {
  switch (call.reason) {
    case 'connect':
      return connect(call.session, call.invalid, caller, config, log);
    case 'disconnect':
      return disconnect(call.session, call.stats, caller, config, log);
    case 'host-update':
      return hostUpdate(call.session, caller, config, log);
  }
}

/**
 * A fault of this program's own.
 * @param config null where it is not known yet.
 * @returns the exit status: only fail mode open and observe mode let anybody in.
 */
export function reportFault(error: unknown, call: HookCall, config: Config | null, log: Log): number {
  // A call that is invalid would have been denied without a fault, too.
  const valid = call.reason === 'connect' && call.invalid === null;
  const letIn = call.reason === 'connect' && config !== null && letsInOnFault(config, valid);
  log.error(letIn ? 'internal fault: let in by the configuration' : 'internal fault', {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    ...(call.reason === 'refused' ? {} : figuresOf(call)),
  });
  return letIn ? 0 : FAULT;
}

function letsInOnFault({ hook, resilience }: Config, valid: boolean): boolean {
  return hook.mode === 'observe' || (valid && resilience.fail_mode === 'open');
}

/** Milliseconds that the log may still take once the answer stands. */
export function flushLimit(call: HookCall, caller: Caller, config: Config | null): number {
  if (call.reason !== 'connect') return PATIENT_FLUSH_MS;
  // Past the deadline a little still: the line that says so is the one that is needed most.
  const left = config === null ? FLUSH_MS : Math.max(100, config.hook.deadline - caller.spent());
  return Math.min(FLUSH_MS, left);
}

export function figuresOf(call: Served): Fields {
  return { reason: call.reason, ...figures(call.session, call.reason === 'disconnect' ? call.stats : null) };
}
