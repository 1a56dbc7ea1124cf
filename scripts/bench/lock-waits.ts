/**
 * Takes the lock for writing again and again, as one hook after another does, with the program's own state. It is forked; after STEPS, or
 * where none are named after a message from its parent, it says how long it waited:
 *
 *   OCAGENT_CONFIG=FILE lock-waits.ts [STEPS]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { configFile, loadConfig } from '../../src/config/load.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import { CONNECT_CHECKPOINT_PAGES } from '../../src/state/state.ts';
import { openState } from './open-state.ts';

/** All in milliseconds. */
export interface LockWaits {
  readonly steps: number;
  readonly median: number;
  /** The longest from asking for the lock until it was there. */
  readonly longest: number;
  /** The longest of the whole step, with its commit and what that had to tidy up. */
  readonly longestStep: number;
}

/** Between two steps: a hook does something else for most of its life. */
const PACE_MS = 2;

const state = await openState({
  path: (await loadConfig(configFile())).state.path,
  create: false,
  patience: 60_000,
  checkpointPages: CONNECT_CHECKPOINT_PAGES,
});
const most = Number(process.argv[2] ?? Number.POSITIVE_INFINITY);
let ended = false;
process.once('message', () => {
  ended = true;
});
// A parent that was killed must not leave it behind.
process.once('disconnect', () => process.exit());

const waits: number[] = [];
let longestStep = 0;
while (!ended && waits.length < most) {
  const asked = performance.now();
  const got = await state.step((tx) => {
    nextInSequence(tx);
    return performance.now();
  });
  if (state.unrecorded !== null) throw new Error(`a step was not recorded: ${state.unrecorded}`);
  waits.push(got - asked);
  longestStep = Math.max(longestStep, performance.now() - asked);
  await sleep(PACE_MS);
}
waits.sort((a, b) => a - b);
process.send?.({
  steps: waits.length,
  median: waits[waits.length >> 1] ?? 0,
  longest: waits.at(-1) ?? 0,
  longestStep,
} satisfies LockWaits);
process.disconnect();
