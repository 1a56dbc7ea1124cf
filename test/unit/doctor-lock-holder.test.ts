import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lockHolder } from '../../src/doctor/lock-holder.ts';
import { openState, scratch } from './fixture.ts';
import { sibling } from './state-child.ts';

describe("the holder of the state's write lock", () => {
  test('is nobody in a state at rest, or in none', async (t) => {
    const path = join(scratch(t), 'state.db');
    assert.equal(await lockHolder(path), null);
    await openState(path);
    assert.equal(await lockHolder(path), null);
  });

  test('is nobody while hooks take their turns: one holds it for a moment', async (t) => {
    const path = join(scratch(t), 'state.db');
    await openState(path);
    const other = sibling(t, 'immediate', path);
    assert.equal(await other.said(), 'held');
    const [holder] = await Promise.all([lockHolder(path), other.release()]);
    assert.equal(holder, null);
  });

  test('is who keeps it for longer than a hook waits', async (t) => {
    const path = join(scratch(t), 'state.db');
    await openState(path);
    const other = sibling(t, 'immediate', path);
    assert.equal(await other.said(), 'held');
    assert.ok(Number(await lockHolder(path)) > 1);
    await other.release();
  });
});
