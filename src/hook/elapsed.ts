import { readFileSync } from 'node:fs';
import { milliseconds } from '../state/clock.ts';

/** The kernel's unit of a process' start time; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

let startedAt: number | null = null;

/**
 * Milliseconds since the kernel made this process, by a clock that nobody can set. Node's own uptime begins when Node has
 * come up, and in a storm that alone can take longer than a portal call.
 */
export function elapsed(): number {
  startedAt ??= milliseconds() - (ageByKernel() ?? process.uptime() * 1_000);
  return milliseconds() - startedAt;
}

/** A process that has come no further by then has waited for the processor: it is one of many. */
const LATE_MS = 150;

/** Whether this machine is so busy that siblings are to be expected. To be asked before anything is waited for. */
export function isLate(): boolean {
  return elapsed() > LATE_MS;
}

/** proc(5): the 22nd field of stat, in ticks since boot, of which the second, the name, may hold blanks and parentheses. */
function ageByKernel(): number | null {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) / TICKS_PER_SECOND;
    const now = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
    const age = (now - started) * 1_000;
    return age >= 0 ? Math.max(age, process.uptime() * 1_000) : null;
  } catch {
    return null;
  }
}
