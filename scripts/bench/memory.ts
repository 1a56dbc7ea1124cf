import { readdirSync, readFileSync } from 'node:fs';
import { isBelow } from './workplace.ts';

/** Milliseconds between two looks: a storm lasts for many, and looking at hundreds of processes must not be a part of what is measured. */
const LOOK_MS = 250;
const PAGE = 4_096;
const MIB = 2 ** 20;

/** MiB at the highest of all looks. */
export interface Peak {
  /** Anonymous memory of all processes together: what is mapped from files they share. */
  readonly anonymous: number;
  /** What the whole machine had less available than at first, whoever took it. */
  readonly machine: number;
}

/**
 * Watches the memory of all processes that go by a configuration below `folder`, drains too, until the function it returns is
 * called. Of each it reads one short line, and whose it is only once or twice.
 */
export function watchMemory(folder: string): () => Peak {
  const ours = new Set<string>();
  const foreign = new Map<string, number>();
  const before = available();
  const peak = { anonymous: 0, machine: 0 };
  const look = (): void => {
    let pages = 0;
    for (const pid of readdirSync('/proc')) {
      if (!/^\d/.test(pid)) continue;
      const looks = foreign.get(pid) ?? 0;
      // One that is just starting a program has no environment for a moment.
      if (looks >= 2) continue;
      if (ours.has(pid) || isBelow(folder, pid)) {
        ours.add(pid);
        pages += anonymousPages(pid);
      } else {
        foreign.set(pid, looks + 1);
      }
    }
    peak.anonymous = Math.max(peak.anonymous, (pages * PAGE) / MIB);
    peak.machine = Math.max(peak.machine, before - available());
  };
  const timer = setInterval(look, LOOK_MS);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

function anonymousPages(pid: string): number {
  try {
    const [, resident = 0, shared = 0] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ').map(Number);
    return resident - shared;
  } catch {
    // Gone.
    return 0;
  }
}

function available(): number {
  const [, kibibytes] = /^MemAvailable:\s*(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1')) ?? [];
  return Number(kibibytes) / 1_024;
}
