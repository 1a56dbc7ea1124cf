import { readdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Start, startedAt, startIn, uptimeSeconds } from '../hook/elapsed.ts';
import { type ProcessStat, statOf } from '../state/process.ts';
import { runsAlike } from './kin.ts';

/** The kernel tells a process' start and the time since its own in hundredths of a second. */
const TICK_SECONDS = 0.01;

/** Seconds. No call takes as long: whatever is older was left behind by processes that were killed. */
const LEFTOVER_S = 10 * 60;

/** The drain that takes calls. */
export interface Identity {
  /** To whom calls are addressed (sign.ts). */
  readonly born: string;
  /** What OCAGENT_CONFIG is for it. */
  readonly config: string;
  /** The file that it runs. */
  readonly program: string;
}

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

/** What comes of a file among the calls. */
export type Taken =
  /** It is not written to its end yet, or no call. */
  | { readonly what: 'nothing' }
  /** It is addressed to another drain, which may have died: its launcher sees that. */
  | { readonly what: 'for another drain' }
  /** Its launcher was killed, or has long gone on by itself. */
  | { readonly what: 'left behind'; readonly whose: Whose }
  /** Somebody waits, for whom another process must answer: one that sees other files, or runs another program. */
  | { readonly what: 'another’s'; readonly whose: Whose }
  | { readonly what: 'call'; readonly call: HandedOver };

const NOTHING: Taken = { what: 'nothing' };

/** A call's file, as the launcher writes it: to whom, which try it is and what the tunnel has counted, and the program that the launcher would run. */
const CALL = /^(\d+)\n(\d)(.*)\n(.+)\n$/;

/**
 * Takes a call from the folder. What ocserv has set is read where the kernel keeps it for the process that waits: nobody can be taken for
 * somebody else, and nothing has to be put into words by a shell.
 */
export function takeCall(folder: string, name: string, own: Identity): Taken {
  const whose = whoseIs(name);
  if (whose === null) return NOTHING;
  const { pid, at } = whose;
  try {
    const [, to, tries, tunnel = '', program = ''] =
      CALL.exec(readFileSync(join(folder, name), 'utf8')) ?? [];
    if (to === undefined) return NOTHING;
    if (to !== own.born) return { what: 'for another drain' };
    const env = readEnvironment(pid);
    const isOurs =
      env !== null && (env['OCAGENT_CONFIG'] ?? '') === own.config && runsAlike(pid, program, own.program);
    // After all that, so that it is not a younger one's.
    const caller = lookAt(pid);
    unlinkSync(join(folder, name));
    if (!isWaiting(caller, at)) return { what: 'left behind', whose };
    const start = typeof caller === 'string' ? null : startIn(caller, at);
    if (!isOurs || start === null) return { what: 'another’s', whose };
    const call = { ...whose, start, isAgain: tries !== '1', env: { ...env, OCAGENT_TUNNEL: tunnel } };
    return { what: 'call', call };
  } catch {
    return NOTHING;
  }
}

/** Removes files of calls that are over. Those that may still be in hand stay: of two drains neither takes away what the other goes by. */
export function clearLeftovers(folder: string): void {
  const uptime = uptimeSeconds();
  for (const name of readdirSync(folder)) {
    const whose = whoseIs(name);
    if (whose === null || uptime - whose.at > LEFTOVER_S) rmSync(join(folder, name), { force: true });
  }
}

/** Whose call a file is about, by its name; null where it is about none. */
export function whoseIs(name: string): Whose | null {
  const [, pid, at] = /^(\d{1,10})\.(\d+\.\d\d)$/.exec(name) ?? [];
  return pid === undefined ? null : { name, pid: Number(pid), at: Number(at) };
}

/** Whether that process is still there: one that has been given its id meanwhile is younger than the call. */
export function stillWaits({ pid, at }: Whose): boolean {
  return isWaiting(lookAt(pid), at);
}

function isWaiting(caller: ProcessStat | 'gone' | 'hidden', at: number): boolean {
  // That this process cannot look says nothing of that one.
  if (typeof caller === 'string') return caller === 'hidden';
  return caller.runs && startedAt(caller) <= at + TICK_SECONDS;
}

function lookAt(pid: number): ProcessStat | 'gone' | 'hidden' {
  try {
    return statOf(pid);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ESRCH' ? 'gone' : 'hidden';
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
