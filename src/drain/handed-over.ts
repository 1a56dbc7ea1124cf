import { readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Start, startedAt, startOf } from '../hook/elapsed.ts';
import { statOf } from '../state/process.ts';

/** The kernel tells a process' start and the time since its own in hundredths of a second. */
const TICK_SECONDS = 0.01;

/** Who has handed a call over. */
export interface Whose {
  /** Of the call's file: the two that follow. */
  readonly name: string;
  /** The launcher's (bin/ocagent-hook), which waits for the answer. */
  readonly pid: number;
  /** When, in seconds since the machine was started. */
  readonly at: number;
}

/** A call that a launcher has handed over. */
export interface HandedOver extends Whose {
  readonly start: Start;
  /** An earlier try was killed. */
  readonly isAgain: boolean;
  /** What ocserv has set. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Takes a call from the folder. What ocserv has set is read where the kernel keeps it for the process that waits: nobody can be taken for
 * somebody else, and nothing has to be put into words by a shell.
 * @param config what OCAGENT_CONFIG is for this process: the calls of others are not its own.
 * @returns null where there is nothing to do (yet, or any more); who waits alone where it could not be read.
 */
export function takeCall(folder: string, name: string, config: string): HandedOver | Whose | null {
  const whose = whoseIs(name);
  if (whose === null) return null;
  const { pid, at } = whose;
  try {
    const [, tries, tunnel = ''] = /^(\d)(.*)\n$/.exec(readFileSync(join(folder, name), 'latin1')) ?? [];
    if (tries === undefined) return null;
    const env = readEnvironment(pid);
    // After the environment, so that this is not a younger one's.
    const waits = stillWaits(whose);
    if (waits && (env?.['OCAGENT_CONFIG'] ?? '') !== config) return null;
    unlinkSync(join(folder, name));
    if (!waits) return null;
    const start = startOf(pid, at);
    if (env === null || start === null) return whose;
    return { ...whose, start, isAgain: tries !== '1', env: { ...env, OCAGENT_TUNNEL: tunnel } };
  } catch {
    return null;
  }
}

/** Whose call a file is about, by its name; null where it is about none. */
export function whoseIs(name: string): Whose | null {
  const [, pid, at] = /^(\d{1,10})\.(\d+\.\d\d)$/.exec(name) ?? [];
  return pid === undefined ? null : { name, pid: Number(pid), at: Number(at) };
}

/** Whether that process is still there: one that has been given its id meanwhile is younger than the call. */
export function stillWaits({ pid, at }: Whose): boolean {
  try {
    const stat = statOf(pid);
    return stat.runs && startedAt(stat) <= at + TICK_SECONDS;
  } catch {
    return false;
  }
}

/** proc(5), environ: what the process was started with. As by a shell, the last of two of the same name counts. */
function readEnvironment(pid: number): Record<string, string> | null {
  try {
    const env: Record<string, string> = {};
    for (const entry of readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')) {
      const end = entry.indexOf('=');
      if (end > 0) env[entry.slice(0, end)] = entry.slice(end + 1);
    }
    return env;
  } catch {
    return null;
  }
}
