import { constants, fstatSync, openSync, write } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { type Fields, jsonLine, type Level, priorityOf, textLine } from './line.ts';

const RANK: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
const STDERR = 2;

/**
 * The log: one line an event, each one write, so that lines of many processes do not mix. Writing happens on a thread
 * of libuv's: a reader that is slow or gone holds up a line, never a decision (contract/cli.md, "Exit codes").
 */
export class Log {
  readonly #config: Config['log'];
  readonly #fd: number;
  #pending: Promise<void> = Promise.resolve();

  constructor(config: Config['log']) {
    this.#config = config;
    this.#fd = STDERR;
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
    if (RANK[level] < RANK[this.#config.level]) return;
    const bytes = Buffer.from(this.#format(level, message, fields));
    this.#pending = this.#pending.then(async () => {
      const written = await writeAll(this.#fd, bytes);
      // A full disk must not swallow the line: stderr is the second place.
      if (!written && this.#fd !== STDERR) await writeAll(STDERR, bytes);
    });
  }

  #format(level: Level, message: string, fields: Fields): string {
    const journal = this.#fd === STDERR && stderrIsJournal();
    const line =
      this.#config.format === 'json'
        ? jsonLine(new Date(), level, message, fields)
        : textLine(journal ? null : new Date(), level, message, fields);
    return journal ? priorityOf(level) + line : line;
  }

  /**
   * Waits until all lines are out, at most `limit` milliseconds: what is not by then is lost, and nothing else.
   * @returns whether they are; if not, a thread still hangs in a write.
   */
  async flush(limit: number): Promise<boolean> {
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

const RETRIES = 50;
const RETRY_MS = 5;

/** Whether all of it went out. Never fails. */
async function writeAll(fd: number, bytes: Buffer): Promise<boolean> {
  let rest = bytes;
  for (let tries = 0; rest.length > 0 && tries < RETRIES; tries++) {
    const written = await writeSome(fd, rest);
    if (written === null) return false;
    rest = rest.subarray(written);
    if (written === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return rest.length === 0;
}

/** How many bytes went out; 0 when the reader is not ready; null when it is gone. */
function writeSome(fd: number, bytes: Buffer): Promise<number | null> {
  return new Promise((resolve) => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error === null) resolve(written);
      else resolve(error.code === 'EAGAIN' || error.code === 'EINTR' ? 0 : null);
    });
  });
}
