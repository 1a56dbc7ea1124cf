import type { Readable } from 'node:stream';

/** A line of output that was waited for, as the pattern matched it. */
export type Found = { line: string; match: RegExpExecArray; index: number };

/** Collects what a process prints, line by line, and lets callers await a line instead of sleeping. */
export class Lines {
  readonly #name: string;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  #ended = false;

  constructor(name: string, ...streams: readonly Readable[]) {
    this.#name = name;
    let open = streams.length;
    for (const stream of streams) {
      let rest = '';
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop() ?? '';
        this.#lines.push(...parts);
        this.#wake();
      });
      stream.once('close', () => {
        if (rest !== '') this.#lines.push(rest);
        open -= 1;
        this.#ended = open === 0;
        this.#wake();
      });
    }
  }

  /** How many lines there are: pass it to `waitFor` to look at later ones only. */
  get count(): number {
    return this.#lines.length;
  }

  /** Whether the process closed its output: no further line will come. */
  get ended(): boolean {
    return this.#ended;
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  /** The last lines, for a message about what went wrong. */
  get tail(): string {
    return this.#lines.slice(-40).join('\n');
  }

  all(pattern: RegExp, from = 0): string[] {
    return this.#lines.slice(from).filter((line) => pattern.test(line));
  }

  /** Resolves with the first line at or after index `from` that matches, at once when it is there already. */
  waitFor(pattern: RegExp, timeout = 10_000, from = 0): Promise<Found> {
    return new Promise((resolve, reject) => {
      let next = from;
      const fail = (why: string) => {
        stop();
        reject(new Error(`${this.#name} ${why} without printing ${pattern}. It printed last:\n${this.tail}`));
      };
      const look = () => {
        for (; next < this.#lines.length; next += 1) {
          const line = this.#lines[next] ?? '';
          const match = pattern.exec(line);
          if (match) {
            stop();
            resolve({ line, match, index: next });
            return;
          }
        }
        if (this.#ended) fail('ended');
      };
      const timer = setTimeout(() => fail(`went on for ${timeout} ms`), timeout);
      const stop = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}
