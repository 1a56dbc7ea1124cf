import { readFileSync } from 'node:fs';
import { milliseconds } from '../state/clock.ts';
import { sleep } from '../state/patience.ts';
import { type ProcessStat, statOf } from '../state/process.ts';

/** Milliseconds that a disconnect may take to find out: its record waits for it, and ocserv may kill us soon. */
const LOOK_FOR_MS = 250;
const LOOK_EVERY_MS = 10;

/**
 * Whether ocserv ends this session because it is going down itself. It does not tell its scripts, but it shows: ordinarily its
 * main process goes back to its event loop once it has started a script; in a shutdown it never does, and its security
 * modules (ocserv-sm) are ended after the last script was started (measured on ocserv 1.1.6). Only what is seen counts: with hundreds
 * of sessions it may not have come to that yet, and then this says no.
 * @param script the process that it has started.
 */
export async function isServerGoingDown(script: number): Promise<boolean> {
  const main = mainProcess(script);
  if (main === null) return false;
  const until = milliseconds() + LOOK_FOR_MS;
  for (;;) {
    if (waitsForEvents(main)) return false;
    const modules = livingModules(main);
    if (modules === 0) return true;
    if (modules === null || milliseconds() > until) return false;
    await sleep(LOOK_EVERY_MS);
  }
}

/** The nearest of its ancestors that is ocserv's main process; there may be ocserv-fw in between. */
function mainProcess(script: number): number | null {
  let pid = script;
  for (let generation = 0; generation < 8 && pid > 1; generation++) {
    const process = look(pid);
    if (process === null) return null;
    if (process.name === 'ocserv-main') return pid;
    pid = process.parent;
  }
  return null;
}

function waitsForEvents(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/wchan`, 'latin1').match(/ep_?poll/) !== null;
  } catch {
    return false;
  }
}

/** How many of its security modules run; null where the kernel does not tell. */
function livingModules(main: number): number | null {
  try {
    const children = readFileSync(`/proc/${main}/task/${main}/children`, 'latin1').split(' ').filter(Boolean);
    return children
      .map((pid) => look(Number(pid)))
      .filter((child) => child?.name === 'ocserv-sm' && child.runs).length;
  } catch (error) {
    // Without the main process nobody starts scripts; without this list in the kernel nobody knows.
    return look(main) === null && (error as NodeJS.ErrnoException).code === 'ENOENT' ? 0 : null;
  }
}

/** Null for one that has gone. */
function look(pid: number): ProcessStat | null {
  try {
    return statOf(pid);
  } catch {
    return null;
  }
}
