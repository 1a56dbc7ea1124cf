import { closeSync, existsSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { stillWaits, type Whose } from './handed-over.ts';

/** What holds the answer's place: space that is there now may be gone by then. No answer to the launcher, which reads a line. */
const NOTHING_YET = '\n';

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

  /** @throws {TakenBack} also an error where there is no place for it: then nothing may be recorded either. */
  claim(): void {
    if (this.#isOurs) return;
    this.#take();
    // Then it may have been taken back, and that been cleared away.
    if (this.#isForNobody()) throw new TakenBack();
    this.#isOurs = true;
  }

  #take(): void {
    let fd: number;
    try {
      fd = openSync(this.#file, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new TakenBack();
      throw error;
    }
    try {
      writeSync(fd, NOTHING_YET);
    } catch (error) {
      // The launcher is not to wait for it.
      this.#remove();
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  #isForNobody(): boolean {
    return !this.#onlyOnce && !stillWaits(this.#whose);
  }

  /** Removes what nobody reads any more. @returns whether that is so. */
  clearAway(): boolean {
    if (stillWaits(this.#whose)) return false;
    this.#remove();
    return true;
  }

  /** What stays, as where nothing can be written any more, the next drain takes away (handed-over.ts, clearLeftovers). */
  #remove(): void {
    try {
      rmSync(this.#file, { force: true });
    } catch {
      // Not worth a word: what matters has been said, or is thrown.
    }
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
    // In its place. Whoever reads meanwhile reads nothing yet, or what is no answer: it is told when it is there.
    writeFileSync(this.#file, `${word}\n`, { flag: 'r+' });
    // It sleeps, and this wakes it. To a stranger who has been given its process id the signal would do harm.
    if (!stillWaits(this.#whose)) return;
    try {
      process.kill(this.#whose.pid, 'SIGUSR1');
    } catch {
      // It has just gone.
    }
  }
}
