import { readFileSync } from 'node:fs';
import { milliseconds } from '../state/clock.ts';
import { launcherWaits, type ProcessStat, statOf } from '../state/process.ts';

/** The kernel's unit of a process' start time; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** When a process was started. */
export interface Start {
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  /** Milliseconds from then until it had its turn: on a busy machine the launcher holds hooks back (slot.ts). */
  readonly waited: number;
}

let own: Start | null = null;

/** Milliseconds since the kernel made this process or, where a launcher waits for it, the launcher, by a clock that nobody can set. */
export function elapsed(): number {
  return milliseconds() - ownStart().at;
}

/**
 * Milliseconds that are over of `hook.deadline`. On a busy machine it begins with this process' turn: a deadline that passed while it was
 * held back would deny whoever comes last in a storm with a portal that is well.
 */
export function spent(): number {
  return elapsed() - ownStart().waited;
}

/** Milliseconds: a process that has come no further by then has waited for the processor, and is one of many. */
export const LATE_MS = 150;

/** Whether this machine is so busy that siblings are to be expected. To be asked before anything is waited for. */
export function isLate(): boolean {
  return elapsed() > LATE_MS;
}

function ownStart(): Start {
  own ??= findOwnStart();
  return own;
}

/** Node's own uptime begins when Node has come up, and in a storm that alone can take longer than a portal call. */
function findOwnStart(): Start {
  const byNode = process.uptime() * 1_000;
  const now = milliseconds();
  const pid = launcherWaits() ? process.ppid : process.pid;
  const start = startOf(
    pid,
    seconds('OCAGENT_TURN'),
    seconds('OCAGENT_BACK') - seconds('OCAGENT_HANDED') || 0,
  );
  if (start === null || now - start.at < byNode) return { at: now - byNode, waited: 0 };
  return { at: start.at, waited: Math.min(start.waited, now - byNode - start.at) };
}

function seconds(name: string): number {
  return Number(process.env[name] || Number.NaN);
}

/**
 * @param turn when it had its turn, in seconds since the machine was started; NaN for at once.
 * @param elsewhere seconds of them for which a drain had its call, which it has given back: it did not wait for its turn then.
 * @returns null where the kernel does not tell, or no such process is there any more.
 */
export function startOf(pid: number, turn: number, elsewhere = 0): Start | null {
  try {
    return startIn(statOf(pid), turn, elsewhere);
  } catch {
    return null;
  }
}

/** The same, of a process that was just looked at. */
export function startIn(stat: ProcessStat, turn: number, elsewhere = 0): Start | null {
  try {
    const now = milliseconds();
    const started = startedAt(stat);
    const uptime = uptimeSeconds();
    if (!(started <= uptime)) return null;
    const waited = Number.isNaN(turn) ? 0 : Math.max(0, Math.min(turn, uptime) - started - elsewhere) * 1_000;
    return { at: now - (uptime - started) * 1_000, waited };
  } catch {
    return null;
  }
}

/** Seconds since the machine was started. @throws where the kernel does not tell. */
export function uptimeSeconds(): number {
  return Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
}

/** Seconds from the machine's start to the process'. */
export function startedAt({ started }: ProcessStat): number {
  return started / TICKS_PER_SECOND;
}
