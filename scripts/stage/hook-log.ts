import { mkdirSync, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

/** One line of the hook's log, as JSON.parse gave it. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Fields that a line must have, equal in depth. */
export type Wanted = LogLine;

/**
 * The hook's own log (`log.file`, JSON), read while hooks write it. Every line must be JSON by itself: one that is not
 * fails whoever looks at the log.
 */
export class HookLog {
  readonly file: string;

  /** The file appears with the first line; its folder is made here. */
  constructor(file: string) {
    this.file = file;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  }

  /** As it is on the disk, without a line that is still being written. */
  get text(): string {
    try {
      const text = readFileSync(this.file, 'utf8');
      return text.slice(0, text.lastIndexOf('\n') + 1);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  get lines(): LogLine[] {
    return this.text.split('\n').filter(Boolean).map(parse);
  }

  /** How many lines there are: pass it as `from` to look at later ones only. */
  get count(): number {
    return this.lines.length;
  }

  all(wanted: Wanted, from = 0): LogLine[] {
    return this.lines.slice(from).filter((line) => matches(line, wanted));
  }

  /** Resolves with the first line that has what is wanted, at once when it is there already. */
  waitFor(wanted: Wanted, { from = 0, timeout = 15_000 } = {}): Promise<LogLine> {
    return this.until(
      () => this.all(wanted, from)[0],
      () => `no line with ${JSON.stringify(wanted)}`,
      timeout,
    );
  }

  /** Resolves with the line of the first decision about that user. */
  decision(username: string, { from = 0 } = {}): Promise<LogLine> {
    return this.until(
      () => this.all({ username }, from).find((line) => 'allowed' in line),
      () => `no decision about ${JSON.stringify(username)}`,
    );
  }

  /** Resolves with what `look` finds; it looks whenever the log has changed. */
  until<T>(look: () => T | undefined, complaint: () => string, timeout = 15_000): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (how: () => void) => {
        clearTimeout(timer);
        watcher.close();
        how();
      };
      const tryIt = () => {
        try {
          const found = look();
          if (found !== undefined) settle(() => resolve(found));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      // Watching begins before the first look, so that no line can fall between the two.
      const watcher = watch(dirname(this.file), (_event, name) => {
        if (name === basename(this.file)) tryIt();
      });
      const late = () =>
        reject(new Error(`${complaint()} within ${timeout} ms. The hook's log:\n${this.text}`));
      const timer = setTimeout(() => settle(late), timeout);
      tryIt();
    });
  }
}

function parse(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (cause) {
    throw new Error(`a line of the hook's log is not JSON: ${JSON.stringify(line)}`, { cause });
  }
}

export function matches(line: LogLine, wanted: Wanted): boolean {
  return Object.entries(wanted).every(([key, value]) => isDeepStrictEqual(line[key], value));
}
