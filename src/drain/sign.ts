import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { RESERVE_MS } from '../portal/ask.ts';
import { statOf } from '../state/process.ts';
import { runFolder, writeWhole } from '../state/run-folder.ts';

/** What this process is called while it takes calls: the launcher looks whether it is still there. At most 15 characters. */
const NAME = 'ocagent=drain';

const FILE = 'drain';

/** Seconds for which a launcher may leave its call here. */
export interface Patience {
  readonly untilTaken: number;
  readonly untilRecorded: number;
  /** For the answer to what is recorded, as there is no other way any more. */
  readonly atLast: number;
}

/**
 * So that a launcher which takes its call back still has time for a process of its own that asks the portal, and any answers by its deadline. Null where
 * this is too short for both ways. Pure.
 */
export function patienceOf({ portal, hook }: Config): Patience | null {
  const spare = Math.floor((hook.deadline - RESERVE_MS - portal.timeout) / 1_000);
  if (spare < 1) return null;
  const untilRecorded = Math.min(Math.ceil(portal.timeout / 1_000) + 1, spare);
  // It looks once a second.
  const atLast = Math.max(untilRecorded + 1, Math.floor(hook.deadline / 1_000) - 1);
  return { untilTaken: Math.min(2, spare), untilRecorded, atLast };
}

/**
 * Has the launchers of hooks to come (bin/ocagent-hook) know that this process takes their calls, who it is, and for how long they may wait; and whose
 * configuration it goes by, as they compare it.
 * @throws where that cannot be written.
 */
export function putUpSign({ untilTaken, untilRecorded, atLast }: Patience): void {
  writeFileSync('/proc/self/comm', NAME);
  const config = process.env['OCAGENT_CONFIG'] ?? '';
  writeWhole(
    runFolder(FILE),
    `${process.pid} ${born()} ${untilTaken} ${untilRecorded} ${atLast} ${config}\n`,
  );
}

/**
 * By what a call is addressed to this process, as its id alone may be another's: where containers share the folder, or later. Its start, in the kernel's
 * ticks.
 */
export function born(): string {
  start ??= String(statOf(process.pid).started);
  return start;
}

let start: string | undefined;

/** Whether no other drain has put up its own instead. */
export function isSignUp(): boolean {
  try {
    return readFileSync(runFolder(FILE), 'latin1').startsWith(`${process.pid} ${born()} `);
  } catch {
    return false;
  }
}

/** From now on no launcher hands a call over to this process. Those that have wait on for what it is called. */
export function takeDownSign(): void {
  try {
    if (isSignUp()) rmSync(runFolder(FILE), { force: true });
  } catch {
    // Where nothing can be removed no call can be left either.
  }
}

/** Nobody waits for it any more, nor is to wait. */
export function dropName(): void {
  writeFileSync('/proc/self/comm', 'ocagent');
}
