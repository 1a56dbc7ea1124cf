import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../state/run-folder.ts';
import { stillWaits, type Whose } from './handed-over.ts';

/** What the launcher reads where this process has nothing to say: it goes on as if it had not asked. */
const DECLINED = '-';

/** The launcher has stopped waiting, and goes on by itself. */
export class TakenBack extends Error {}

/**
 * The answer to a call, in a file. Whoever makes the file has the last word: this process before it records anything, or the launcher when
 * it has waited for long enough (bin/ocagent-hook, `set -C`). So a call is recorded by one of them, whoever stops or dies in between.
 */
export class Answer {
  readonly #file: string;
  readonly #whose: Whose;
  /** What happens only once is recorded although nobody waits for it any more. */
  readonly #onlyOnce: boolean;
  #isOurs = false;

  constructor(folder: string, whose: Whose, onlyOnce: boolean) {
    this.#file = join(folder, whose.name);
    this.#whose = whose;
    this.#onlyOnce = onlyOnce;
  }

  /** The launcher waits for it however long it takes from here on. */
  get isOurs(): boolean {
    return this.#isOurs;
  }

  /** Somebody has had the last word. */
  get isThere(): boolean {
    return existsSync(this.#file);
  }

  /** Whether there is nothing to do any more. */
  get isTakenBack(): boolean {
    return !this.#isOurs && (this.isThere || this.#isForNobody());
  }

  /** @throws {TakenBack} */
  claim(): void {
    if (this.#isOurs) return;
    try {
      closeSync(openSync(this.#file, 'wx', 0o600));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new TakenBack();
      throw error;
    }
    // Then it may have been taken back, and that been cleared away.
    if (this.#isForNobody()) throw new TakenBack();
    this.#isOurs = true;
  }

  #isForNobody(): boolean {
    return !this.#onlyOnce && !stillWaits(this.#whose);
  }

  /** Removes what nobody reads any more. @returns whether that is so. */
  clearAway(): boolean {
    if (stillWaits(this.#whose)) return false;
    rmSync(this.#file, { force: true });
    return true;
  }

  /**
   * @param status the exit status, as a hook of its own would have ended with.
   * @throws {TakenBack}
   */
  give(status: number): void {
    this.#tell(String(status));
  }

  /** @throws {TakenBack} */
  decline(): void {
    this.#tell(DECLINED);
  }

  #tell(word: string): void {
    this.claim();
    writeWhole(this.#file, `${word}\n`);
    // It sleeps, and this wakes it. To a stranger who has been given its process id the signal would do harm.
    if (stillWaits(this.#whose)) process.kill(this.#whose.pid, 'SIGUSR1');
  }
}
