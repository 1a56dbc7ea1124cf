import { readFileSync } from 'node:fs';
import { milliseconds } from '../state/clock.ts';

/** The kernel's unit of a process' start time; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Start {
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
  /** Milliseconds from then until the process had its turn. */
  readonly waited: number;
}

let start: Start | null = null;

/**
 * Milliseconds since the kernel made this process, by a clock that nobody can set. Node's own uptime begins when Node has
 * come up, and in a storm that alone can take longer than a portal call.
 */
export function elapsed(): number {
  start ??= findStart();
  return milliseconds() - start.at;
}

/**
 * Milliseconds that are over of `hook.deadline`. On a busy machine it begins with this process' turn: until then the launcher has held it
 * back (src/hook/slot.ts), and a deadline that passed meanwhile would deny whoever comes last in a storm with a portal that is well.
 */
export function spent(): number {
  const since = elapsed();
  return since - (start?.waited ?? 0);
}

/** A process that has come no further by then has waited for the processor: it is one of many. */
const LATE_MS = 150;

/** Whether this machine is so busy that siblings are to be expected. To be asked before anything is waited for. */
export function isLate(): boolean {
  return elapsed() > LATE_MS;
}

/** proc(5): the 22nd field of stat, in ticks since boot, of which the second, the name, may hold blanks and parentheses. */
function findStart(): Start {
  const byNode = process.uptime() * 1_000;
  const now = milliseconds();
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) / TICKS_PER_SECOND;
    const uptime = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
    const age = (uptime - started) * 1_000;
    if (age >= 0) return { at: now - Math.max(age, byNode), waited: waitedOf(started, age - byNode) };
  } catch {
    // No such files: then by Node.
  }
  return { at: now - byNode, waited: 0 };
}

/**
 * @param started seconds since boot.
 * @param most milliseconds.
 */
function waitedOf(started: number, most: number): number {
  const turn = Number(process.env['OCAGENT_TURN'] || Number.NaN);
  return Number.isNaN(turn) ? 0 : Math.max(0, Math.min((turn - started) * 1_000, most));
}
