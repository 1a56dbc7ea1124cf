import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { type Fields, jsonLine, type Level, priorityOf, textLine } from './line.ts';
import { readyForStderr, writeAll, writeNow } from './write.ts';

const RANK: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
export const STDERR = 2;

/**
 * The log: one line an event, each one write, so that lines of many processes do not mix. A reader that is slow or gone holds up a
 * line, never a decision (contract/cli.md, "Exit codes"): what cannot be written at once is written on a thread of libuv's.
 * Not all of it is, because making those threads takes 2 % of a hook's life.
 */
export class Log {
  readonly #config: Config['log'];
  readonly #fd: number;
  /** What a write cannot wait on; null where there is no such thing, and before the first line. */
  #ready: number | null = null;
  /** Lines that had to wait; null while there were none. */
  #pending: Promise<void> | null = null;
  #isClosed = false;

  /** @param stderr what `log.file = ""` means: this process' own or, for somebody else, one that was opened so that it never blocks. */
  constructor(config: Config['log'], stderr = STDERR) {
    this.#config = config;
    this.#fd = stderr;
    if (stderr !== STDERR) this.#ready = stderr;
    if (config.file === '') return;
    try {
      // NONBLOCK: a named pipe without a reader must not hold us up at open.
      const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
      this.#fd = openSync(config.file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
    } catch (error) {
      this.error('the log file cannot be opened; logging to stderr instead', {
        file: config.file,
        error: (error as Error).message,
        cure: 'see that its folder exists and can be written, or correct log.file',
      });
    }
  }

  debug(message: string, fields: Fields = {}): void {
    this.line('debug', message, fields);
  }

  info(message: string, fields: Fields = {}): void {
    this.line('info', message, fields);
  }

  warn(message: string, fields: Fields = {}): void {
    this.line('warn', message, fields);
  }

  error(message: string, fields: Fields = {}): void {
    this.line('error', message, fields);
  }

  line(level: Level, message: string, fields: Fields): void {
    if (this.#isClosed || RANK[level] < RANK[this.#config.level]) return;
    const bytes = Buffer.from(this.#format(level, message, fields));
    const rest = this.#pending === null ? this.#writeNow(bytes) : bytes;
    if (rest.length === 0) return;
    this.#pending = (this.#pending ?? Promise.resolve()).then(async () => {
      const written = await writeAll(this.#fd, rest);
      // A full disk must not swallow the line: stderr is the second place.
      if (!written && this.#fd !== STDERR) await writeAll(STDERR, bytes);
    });
  }

  #writeNow(bytes: Buffer): Buffer {
    // A file of our own was opened so that it never blocks.
    this.#ready ??= this.#fd === STDERR ? readyForStderr(STDERR) : this.#fd;
    return this.#ready === null ? bytes : writeNow(this.#ready, bytes);
  }

  #format(level: Level, message: string, fields: Fields): string {
    const journal = this.#fd === STDERR && stderrIsJournal();
    const line =
      this.#config.format === 'json'
        ? jsonLine(new Date(), level, message, fields)
        : textLine(journal ? null : new Date(), level, message, fields);
    return journal ? priorityOf(level) + line : line;
  }

  /** For a log that this process goes on without: what is on its way goes out, and nothing after it. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#pending;
    if (this.#fd !== STDERR) closeSync(this.#fd);
  }

  /**
   * Waits until all lines are out, at most `limit` milliseconds: what is not by then is lost, and nothing else.
   * @returns whether they are; if not, a thread still hangs in a write.
   */
  async flush(limit: number): Promise<boolean> {
    if (this.#pending === null) return true;
    let timer: NodeJS.Timeout | undefined;
    const done = await Promise.race([
      this.#pending.then(() => true),
      new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(false), limit);
      }),
    ]);
    clearTimeout(timer);
    return done;
  }
}

/** systemd names the stream that it has connected to the journal; a child may have been given another stderr since. */
function stderrIsJournal(): boolean {
  const stream = process.env['JOURNAL_STREAM'];
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Before the configuration is known, and when it cannot be. */
export const DEFAULT_LOG: Config['log'] = { level: 'info', format: 'json', file: '' };
