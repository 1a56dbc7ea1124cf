import { isAlive } from './process.ts';
import type { Transaction } from './transaction.ts';

/** What one process wants to know of the portal, and leaves to the leader to ask. */
export interface Question {
  readonly number: number;
  readonly pid: number;
}

export interface OpenQuestion extends Question {
  /** The request, as JSON. */
  readonly request: string;
  /** Monotonic milliseconds by which nobody needs the answer any more. */
  readonly until: number;
  /** 1 where a leader has asked it in vain and put it back, else 0. */
  readonly again: number;
}

/** @param number of the sequence. */
export function ask(tx: Transaction, number: number, request: string, until: number): Question {
  const { pid } = process;
  tx.write(
    'INSERT INTO question (number, pid, boot, until, request) VALUES (?, ?, ?, ?, ?)',
    number,
    pid,
    tx.now.boot,
    Math.round(until),
    request,
  );
  return { number, pid };
}

/**
 * Where a question of this process' stands: `gone` is one that the state no longer knows.
 * @param term of who leads now; null where nobody does. What another has taken is as good as not taken.
 */
export function answerTo(
  tx: Transaction,
  { number, pid }: Question,
  term: number | null,
): { readonly answer: string } | 'open' | 'taken' | 'gone' {
  const row = tx.row<{ taken: number; answer: string | null }>(
    'SELECT taken, answer FROM question WHERE number = ? AND pid = ?',
    number,
    pid,
  );
  if (row === undefined) return 'gone';
  if (row.answer !== null) return { answer: row.answer };
  return row.taken === term ? 'taken' : 'open';
}

export function withdraw(tx: Transaction, { number, pid }: Question): void {
  tx.write('DELETE FROM question WHERE number = ? AND pid = ?', number, pid);
}

/** What `taken` holds where a process no longer leaves its question to the leader. */
const ASKED_ALONE = -1;

/**
 * From now on the process asks this one by itself, if fewer than so many do.
 * @returns whether it does.
 */
export function goAlone(tx: Transaction, { number, pid }: Question, atMost: number): boolean {
  const alone = tx.rows<{ pid: number }>('SELECT pid FROM question WHERE taken = ?', ASKED_ALONE);
  if (alone.filter((row) => isAlive(row.pid)).length >= atMost) return false;
  const mark = 'UPDATE question SET taken = ? WHERE number = ? AND pid = ? AND answer IS NULL';
  return tx.write(mark, ASKED_ALONE, number, pid) > 0;
}

/**
 * Questions that the leader of this term has not taken yet, the oldest first; from now on it has. Those that nobody needs any more go
 * on the way: they must not stand before the others.
 */
export function takeQuestions(tx: Transaction, term: number, atMost: number): OpenQuestion[] {
  const taken: OpenQuestion[] = [];
  while (taken.length < atMost) {
    const rows = tx.rows<OpenQuestion & { boot: string }>(
      `SELECT number, pid, boot, request, until, again FROM question WHERE answer IS NULL AND taken NOT IN (?, ?)
       ORDER BY number LIMIT ?`,
      term,
      ASKED_ALONE,
      atMost - taken.length,
    );
    if (rows.length === 0) break;
    for (const { boot, ...question } of rows) {
      const { number, pid, until } = question;
      if (boot !== tx.now.boot || until <= tx.now.mono || !isAlive(pid)) {
        tx.write('DELETE FROM question WHERE number = ?', number);
        continue;
      }
      tx.write('UPDATE question SET taken = ? WHERE number = ?', term, number);
      taken.push(question);
    }
    // Where nothing can be written the same rows would come again.
    if (!tx.writable) break;
  }
  return taken;
}

/** Leaves a question that the leader of this term has taken to the next one. */
export function putBack(tx: Transaction, { number, pid }: Question, term: number): void {
  tx.write(
    'UPDATE question SET taken = 0, again = 1 WHERE number = ? AND pid = ? AND answer IS NULL AND taken = ?',
    number,
    pid,
    term,
  );
}

/** @returns whether somebody waits for it. */
export function answer(tx: Transaction, { number, pid }: Question, text: string): boolean {
  return (
    tx.write(
      'UPDATE question SET answer = ? WHERE number = ? AND pid = ? AND answer IS NULL',
      text,
      number,
      pid,
    ) > 0
  );
}

/**
 * That the leader of this term could not ask it: only as long as it is still that one's. Another one, who has taken it since, may yet hear the
 * portal's answer.
 * @returns whether somebody waits for it.
 */
export function answerFailed(
  tx: Transaction,
  { number, pid }: Question,
  text: string,
  term: number,
): boolean {
  return (
    tx.write(
      'UPDATE question SET answer = ? WHERE number = ? AND pid = ? AND answer IS NULL AND taken = ?',
      text,
      number,
      pid,
      term,
    ) > 0
  );
}

/** A process that waits for an answer; null when none does. */
export function whoWaits(tx: Transaction): number | null {
  const rows = tx.rows<{ pid: number }>(
    'SELECT pid FROM question WHERE answer IS NULL AND taken <> ? ORDER BY number',
    ASKED_ALONE,
  );
  return rows.find(({ pid }) => isAlive(pid))?.pid ?? null;
}

/** Whether some leader has taken a question whose process still waits for it. */
export function isAsking(tx: Transaction): boolean {
  const rows = tx.rows<{ pid: number }>('SELECT pid FROM question WHERE answer IS NULL AND taken > 0');
  return rows.some(({ pid }) => isAlive(pid));
}

/** Removes what nobody needs any more: its process was killed, or went on without. */
export function pruneQuestions(tx: Transaction): void {
  const { boot, mono } = tx.now;
  tx.write('DELETE FROM question WHERE until <= ? OR boot <> ?', mono, boot);
}
