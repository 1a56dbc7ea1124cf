import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from '../vpn/at-exit.ts';

/** Where a bench keeps its files. Both they and the processes that go by a configuration among them are gone at its end. */
export interface Workplace {
  readonly folder: string;
  end(): void;
}

export function openWorkplace(): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'ocagent-bench-'));
  const clear = (): void => {
    endProcesses(folder);
    rmSync(folder, { recursive: true, force: true });
  };
  const callOff = atExit(clear);
  return {
    folder,
    end() {
      callOff();
      clear();
    },
  };
}

/**
 * Ends the hooks and drains whose configuration is below `folder`. A drain is detached and nobody's child, but the launcher
 * hands the configuration's path on to it; so does the shell that is about to become one.
 */
export function endProcesses(folder: string): void {
  for (let look = 0; look < 100; look++) {
    const found = processesOf(folder);
    if (found.length === 0) return;
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself.
      }
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
}

function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isBelow(folder, name))
    .map(Number);
}

/** Whether a process goes by a configuration below `folder`. */
export function isBelow(folder: string, pid: string): boolean {
  const mark = `OCAGENT_CONFIG=${folder}/`;
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .some((entry) => entry.startsWith(mark));
  } catch {
    // Gone, or somebody else's.
    return false;
  }
}
