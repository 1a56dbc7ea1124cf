import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { OpenStates } from '../../src/state/open-states.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import { CHECKPOINT_PAGES } from '../../src/state/state.ts';
import { scratch } from '../unit/fixture.ts';
import { MOUNTS } from './mounts.ts';

describe('a state that is opened while it is read-only', MOUNTS, () => {
  test('is recorded in again once it is not, by the same process', async (t) => {
    const path = join(scratch(t), 'state.db');
    const folder = dirname(path);
    const states = new OpenStates();
    /** @returns why that is not recorded. */
    const step = async (durable: boolean): Promise<string | null> => {
      const options = { path, patience: 1_000, durable, checkpointPages: CHECKPOINT_PAGES, create: true };
      const state = await states.open({ ...options, onSetAside: () => {} });
      await state.step(nextInSequence);
      return state.unrecorded;
    };
    assert.equal(await step(false), null);
    // The one that has made the file is not kept.
    assert.equal(await step(false), null);
    execFileSync('mount', ['--bind', folder, folder]);
    try {
      execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
      assert.match(`${await step(true)}`, /read-only/);
      assert.match(`${await step(true)}`, /read-only/);
      assert.equal(await step(false), null, 'what was opened before is not');
      execFileSync('mount', ['-o', 'remount,bind,rw', folder]);
      assert.equal(await step(true), null);
    } finally {
      execFileSync('umount', ['-l', folder]);
    }
  });
});
