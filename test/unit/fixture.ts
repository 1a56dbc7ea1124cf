import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { readConfig } from '../../src/config/read.ts';
import type { Config } from '../../src/config/schema.ts';
import type { BreakerState } from '../../src/resilience/circuit-breaker.ts';
import type { Instant } from '../../src/resilience/instant.ts';
import { loadBreaker, saveBreaker } from '../../src/state/breaker.ts';
import type { StateOptions } from '../../src/state/open.ts';
import { State } from '../../src/state/state.ts';
import { Transaction } from '../../src/state/transaction.ts';

/** A moment by hand: wall and monotonic time run together from an arbitrary start, in one boot. */
export function at(milliseconds: number, boot = 'boot-1'): Instant {
  return { wall: 1_800_000_000_000 + milliseconds, boot, mono: 500_000 + milliseconds };
}

/** A folder of mode 0700 that goes with the test. */
export function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ocagent-unit-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function openState(path: string, options: Partial<StateOptions> = {}): Promise<State> {
  return State.open({
    path,
    patience: 1_000,
    durable: false,
    checkpointPages: 1_000,
    create: true,
    onSetAside: () => {},
    ...options,
  });
}

/** A real database file, and transactions on it whose clock the test holds. */
export async function ledger(
  t: TestContext,
): Promise<<T>(now: Instant, work: (tx: Transaction) => T, writable?: boolean) => T> {
  const path = join(scratch(t), 'state.db');
  await openState(path);
  const db = new Database(path);
  t.after(() => db.close());
  return (now, work, writable = true) => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work(new Transaction(db, now, writable));
      db.exec('COMMIT');
      return result;
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    }
  };
}

type Nested = { readonly [key: string]: unknown };

/** The defaults, with `resilience`, `hook` and so on as a file would set them. */
export function settings(file: Nested = {}): Config {
  const { config, problems } = readConfig({ portal: { address: 'portal.example.net:9091' }, ...file });
  if (config === null) throw new Error(problems.map(({ message }) => message).join('; '));
  return config;
}

/**
 * As though `milliseconds` had passed since all that is stored was stored. A state's clock is the kernel's, which a
 * test cannot move; so what is on record moves into the past.
 */
export async function letPass(state: State, milliseconds: number): Promise<void> {
  await state.step((tx) => {
    for (const [table, wall, mono] of [
      ['decision', 'answered_wall', 'answered_mono'],
      ['breaker_blame', 'wall', 'mono'],
      ['session', 'connected_wall', 'connected_mono'],
    ]) {
      tx.write(
        `UPDATE ${table} SET ${wall} = ${wall} - ?, ${mono} = ${mono} - ?`,
        milliseconds,
        milliseconds,
      );
    }
    const before = loadBreaker(tx);
    saveBreaker(tx, before, movedBack(before, milliseconds));
  });
}

function movedBack(state: BreakerState, milliseconds: number): BreakerState {
  const back = (then: Instant): Instant => ({
    ...then,
    wall: then.wall - milliseconds,
    mono: then.mono - milliseconds,
  });
  switch (state.kind) {
    case 'closed':
      return { ...state, firstFailure: state.firstFailure && back(state.firstFailure) };
    case 'open':
      return { ...state, openedAt: back(state.openedAt) };
    case 'half-open':
      return {
        ...state,
        openedAt: back(state.openedAt),
        trials: state.trials.map((trial) => ({ ...trial, since: back(trial.since) })),
      };
  }
}
