import { closeSync, writeFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { statOf } from '../state/process.ts';
import { makeFolder, runFolder, writeWhole } from '../state/run-folder.ts';
import { uptimeSeconds } from './elapsed.ts';
import { patienceFor } from './turn.ts';

/**
 * Where a machine is so busy that hooks had better start one after another, the launcher (bin/ocagent-hook) has each wait for a slot
 * first. It knows no configuration, so how long one may wait is written down for it, for as long as this machine is up.
 */

/**
 * The launcher opens it for a hook that has waited, or for a drain that others wait for; to close it is to leave the slot, or to let them look whether it
 * takes their calls.
 */
const DESCRIPTOR = 9;

const wasGiven = process.env['OCAGENT_SLOT'] === `${DESCRIPTOR}`;
let isHeld = wasGiven;

/** Of a drain: hooks wait for it, or have waited. */
export function isExpected(): boolean {
  return wasGiven;
}

/**
 * Lets the next hook start: this one is about to wait for something other than the processor, or has done its work. Only the first
 * call does anything.
 */
export function leaveSlot(): void {
  if (!isHeld) return;
  isHeld = false;
  closeSync(DESCRIPTOR);
}

/** Seconds for which launchers start no further drain for hooks to come, after one that cannot take their calls. */
const USELESS_FOR_S = 60;

/** Of a drain that hooks wait for, and that cannot take their calls: nor could the next one. */
export function expectNoDrain(): void {
  if (wasGiven) noteComing(USELESS_FOR_S, process.pid);
}

/** Likewise of one that leaves the work to that process, as the next one would have to. */
export function expectOther(pid: number): void {
  if (wasGiven) noteComing(0, pid);
}

/** Of one that has failed. Why it did later says nothing of the next. */
export function failExpected(): void {
  if (isHeld) noteComing(USELESS_FOR_S, process.pid);
  leaveSlot();
}

/** None is started for so many seconds, and as long as that process is there (bin/ocagent-hook, expect_drain). */
function noteComing(seconds: number, pid: number): void {
  try {
    makeFolder(runFolder());
    const uptime = Math.floor(uptimeSeconds());
    const whose = process.env['OCAGENT_CONFIG'] ?? '';
    writeFileSync(runFolder('coming'), `${uptime} ${seconds} ${pid} ${statOf(pid).started} ${whose}\n`);
  } catch {
    // Then one is started again soon.
  }
}

/** Has the launchers of the hooks to come know it. Where it cannot be written they go by what is right for the default. */
export function writePatience({ hook }: Config): void {
  const patience = `${patienceFor(hook.deadline)}`;
  if (process.env['OCAGENT_PATIENCE'] === patience) return;
  try {
    makeFolder(runFolder());
    writeWhole(runFolder('patience'), `${patience}\n`);
  } catch {
    // Not root, or no such place: a service that hooks can do without.
  }
}
