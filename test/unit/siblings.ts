/** Other processes, as far as the leader's tables know them: an id that runs, and rows that it has written. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import type { Question } from '../../src/state/questions.ts';
import { nextInSequence } from '../../src/state/sequence.ts';
import type { State } from '../../src/state/state.ts';
import type { Transaction } from '../../src/state/transaction.ts';

export interface Stranger {
  readonly pid: number;
  /** Resolves when its id is nobody's. */
  kill(): Promise<void>;
}

/** A process that runs until the test ends; a signal that wakes siblings does nothing to it. */
export function stranger(t: TestContext): Stranger {
  const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await gone;
  };
  t.after(kill);
  if (child.pid === undefined) throw new Error('there is no sleep');
  return { pid: child.pid, kill };
}

/** The id of a process that has ended. */
export function dead(): number {
  return spawnSync('true').pid;
}

/** Which portal is asked, as all in these tests agree on. */
export const PORTAL = 'the portal';

export interface LeaderRow {
  readonly term: number;
  readonly pid: number;
  readonly portal: string;
  readonly wall: number;
  readonly boot: string;
  readonly mono: number;
}

export function leaderRow(tx: Transaction): LeaderRow {
  const row = tx.row<LeaderRow>('SELECT term, pid, portal, wall, boot, mono FROM leader');
  if (row === undefined) throw new Error('there is no row of the leader');
  return row;
}

/** As though that process led since now. */
export function leads(tx: Transaction, pid: number, portal = PORTAL): void {
  const { wall, boot, mono } = tx.now;
  tx.write(
    'UPDATE leader SET term = term + 1, pid = ?, portal = ?, wall = ?, boot = ?, mono = ?',
    pid,
    portal,
    wall,
    boot,
    mono,
  );
}

interface Asked {
  readonly request?: string;
  /** Milliseconds from now. */
  readonly until?: number;
  readonly boot?: string;
  readonly taken?: number;
  readonly answer?: string;
}

/** As though that process had asked. */
export function asks(tx: Transaction, pid: number, asked: Asked = {}): Question {
  const { request = '{}', until = 60_000, boot = tx.now.boot, taken = 0, answer = null } = asked;
  const number = nextInSequence(tx);
  if (number === null) throw new Error('there is no number without writing');
  tx.write(
    'INSERT INTO question (number, pid, boot, until, request, taken, answer) VALUES (?, ?, ?, ?, ?, ?, ?)',
    number,
    pid,
    boot,
    tx.now.mono + until,
    request,
    taken,
    answer,
  );
  return { number, pid };
}

export interface QuestionRow {
  readonly number: number;
  readonly pid: number;
  readonly taken: number;
  readonly answer: string | null;
}

export function questionRows(tx: Transaction): QuestionRow[] {
  return tx.rows<QuestionRow>('SELECT number, pid, taken, answer FROM question ORDER BY number');
}

/**
 * From now on whoever leads gives a sign of life in each use of the state: then no pause of this machine makes it silent. Also what only
 * reads does so by a step that writes.
 */
export function keepAlive(state: State, each: (tx: Transaction) => void = () => {}): void {
  const step = state.step.bind(state);
  const alive = <T>(work: (tx: Transaction) => T): Promise<T> =>
    step((tx) => {
      each(tx);
      tx.write('UPDATE leader SET wall = ?, boot = ?, mono = ?', tx.now.wall, tx.now.boot, tx.now.mono);
      return work(tx);
    });
  Object.assign(state, { step: alive, read: alive });
}
