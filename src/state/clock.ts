import { readFileSync } from 'node:fs';
import type { Instant } from '../resilience/instant.ts';

let boot: string | null = null;

/** Now, by the wall clock and by the kernel's own, which nobody can set. */
export function now(): Instant {
  boot ??= bootId();
  return { wall: Date.now(), boot, mono: Number(process.hrtime.bigint() / 1_000_000n) };
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    // Without a boot id monotonic times of two processes are not compared: wall time alone decides.
    return '';
  }
}

/**
 * Milliseconds by a clock that nobody can set, for spans within this process. Not `performance.now()`: its first use loads eleven of
 * Node's own modules, a twentieth of a hook's life.
 */
export function milliseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1_000_000;
}
