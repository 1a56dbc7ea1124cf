import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { count, total } from '../../src/state/counters.ts';
import { openState } from './fixture.ts';

/**
 * Another process on the same state. `count` opens it, adds one to a counter and prints the sum; `immediate` and
 * `exclusive` hold such a transaction until their input ends.
 */
type Part = 'count' | 'immediate' | 'exclusive';

export interface Sibling {
  /** What it printed next; once it holds its lock, `held`. */
  said(): Promise<string>;
  /** Lets go and ends. */
  release(): Promise<void>;
  /** Dies in the middle of its transaction. */
  kill(): Promise<void>;
}

export function sibling(t: TestContext, part: Part, path: string): Sibling {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(
    process.execPath,
    [import.meta.filename, part, path],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  t.after(() => child.kill('SIGKILL'));
  return {
    said: async () => String((await once(child.stdout, 'data'))[0]).trim(),
    release: async () => {
      child.stdin.end();
      await ended;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function play(part: Part, path: string): Promise<void> {
  if (part === 'count') {
    const state = await openState(path, { patience: 30_000 });
    const sum = await state.step((tx) => {
      count(tx, 'ocserv.cache.hits_total');
      return total(tx, 'ocserv.cache.hits_total');
    });
    process.stdout.write(`${state.unrecorded ?? sum}\n`);
    return;
  }
  const db = new Database(path);
  db.exec(part === 'immediate' ? 'BEGIN IMMEDIATE' : 'BEGIN EXCLUSIVE');
  process.stdout.write('held\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  db.exec('ROLLBACK');
  db.close();
}

if (import.meta.main) {
  const [part, path] = process.argv.slice(2);
  await play(part as Part, path as string);
}
