import assert from 'node:assert/strict';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { pendingCount } from '../../src/state/outbox.ts';
import { salvage } from '../../src/state/salvage.ts';
import { listSessions } from '../../src/state/session-records.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { endOf, idsIn, put } from './session-events.ts';
import { begin } from './session-rows.ts';
import { setAsideState, spoilMiddleOf } from './set-aside-state.ts';

const MANY = 500;
const numbers = Array.from({ length: MANY }, (_, n) => n);
const name = (n: number) => `e${String(n).padStart(3, '0')}`;

function fill(tx: Transaction): void {
  for (const n of numbers) {
    put(tx, { [name(n)]: endOf(`${n}-1`, { metadata: { filler: 'x'.repeat(100) } }) });
    begin(tx, { ocservId: String(n), sessionId: `${n}-1` });
  }
}

const live = (tx: Transaction) => listSessions(tx, { limit: 1_000 }).map(({ ocservId }) => Number(ocservId));

describe('a database with a broken page', () => {
  test('in the middle of its events gives those on both sides, in order, and all its sessions', async (t) => {
    const { path, state } = await setAsideState(t, fill, { spoil: spoilMiddleOf('event') });
    const [salvaged] = await salvage(path, state);
    const ids = await state.read(idsIn);
    assert.ok(salvaged);
    assert.equal(salvaged.events, ids.length);
    assert.ok(ids.length > MANY - 30 && ids.length < MANY, `${ids.length} of ${MANY}`);
    assert.deepEqual(ids, ids.toSorted());
    assert.deepEqual([ids[0], ids.at(-1)], [name(0), name(MANY - 1)]);
    const gap = numbers.map(name).filter((id) => !ids.includes(id));
    assert.equal(await state.read(pendingCount), ids.length);

    assert.equal(salvaged.sessions, MANY);
    assert.equal(salvaged.lost.length, 1);
    // Numbers of rows begin with 1, names with 0.
    const [before, after] = [Number(gap[0]?.slice(1)), Number(gap.at(-1)?.slice(1)) + 2];
    assert.match(
      String(salvaged.lost[0]),
      new RegExp(`^events between ${before} and ${after} could not be read: .*malformed`),
    );
  });

  test('in the middle of its sessions gives those on both sides, and all its events', async (t) => {
    const { path, state } = await setAsideState(t, fill, { spoil: spoilMiddleOf('session') });
    const [salvaged] = await salvage(path, state);
    const found = (await state.read(live)).toSorted((a, b) => a - b);
    assert.ok(found.length > MANY - 30 && found.length < MANY, `${found.length} of ${MANY}`);
    assert.deepEqual([found[0], found.at(-1)], [0, MANY - 1]);
    assert.partialDeepStrictEqual(salvaged, { events: MANY, sessions: found.length });
    assert.match(String(salvaged?.lost), /^sessions between \d+ and \d+ could not be read/);
  });

  test('is given up after that: what is broken is broken the next time, too', async (t) => {
    const { path, aside, state } = await setAsideState(t, fill, { spoil: spoilMiddleOf('event') });
    await salvage(path, state);
    assert.ok(!existsSync(aside));
    assert.deepEqual(await salvage(path, state), []);
  });
});

describe('a file in the place of a database', () => {
  test('that is garbage is told, and left under another name as it is', async (t) => {
    const garbage = Buffer.alloc(12_288, 'garbage ');
    const { path, aside, state } = await setAsideState(t, fill, {
      spoil: (file) => writeFileSync(file, garbage),
    });
    const [salvaged] = await salvage(path, state);
    assert.partialDeepStrictEqual(salvaged, { file: aside, events: 0, sessions: 0 });
    assert.match(String(salvaged?.lost), /events.*not a database/);
    assert.match(String(salvaged?.lost), /sessions.*not a database/);
    assert.ok(!existsSync(aside));
    assert.ok(readFileSync(`${path}.salvaged-4711`).equals(garbage));
  });

  test('that ends early is told as lost, and nothing is in the outbox that was not there', async (t) => {
    const { path, state } = await setAsideState(t, fill, { spoil: (file) => truncateSync(file, 50 * 4_096) });
    const [salvaged] = await salvage(path, state);
    assert.match(String(salvaged?.lost), /sessions.*malformed.*events.*malformed/);
    const ids = await state.read(idsIn);
    assert.deepEqual(ids, numbers.slice(0, ids.length).map(name));
    assert.equal(salvaged?.events, ids.length);
  });

  test('does not keep the next one from being looked at', async (t) => {
    const { path, aside, state } = await setAsideState(t, (tx) => put(tx, { d1: endOf('1-1') }));
    writeFileSync(`${path}.corrupt-1`, 'garbage'.repeat(1_000));
    const salvaged = await salvage(path, state);
    assert.deepEqual(
      salvaged.map(({ file, events }) => [file, events]),
      [
        [`${path}.corrupt-1`, 0],
        [aside, 1],
      ],
    );
  });
});
