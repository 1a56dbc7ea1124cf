import { print } from './output.ts';

// The other screen, without a cursor, and lines that end at the window's edge; and all of it undone.
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_REST = '\x1b[J';

/**
 * Shows a page anew every `interval` milliseconds until the person ends it (^C, or SIGTERM): in place on a terminal, on a page of its
 * own that is gone afterwards; one after another where stdout is no terminal.
 */
export async function watch(page: () => Promise<string>, interval: number): Promise<void> {
  const inPlace = process.stdout.isTTY === true;
  let wake = (): void => {};
  let ended = false;
  const end = (): void => {
    ended = true;
    wake();
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  if (inPlace) {
    process.stdout.write(ENTER);
    process.stdout.on('resize', () => wake());
  }
  try {
    while (!ended) {
      const text = `${new Date().toISOString().slice(0, 19)}Z  every ${interval / 1_000} s, ^C ends\n\n${await page()}`;
      await print(inPlace ? inItsPlace(text) : `${text}\n\n`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ended ? 0 : interval);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    if (inPlace) process.stdout.write(LEAVE);
  }
}

/** Written over what stands there, so that nothing flickers; what is too long or too much for the window is cut off. */
function inItsPlace(text: string): string {
  const lines = text.split('\n').slice(0, (process.stdout.rows || 24) - 1);
  return `${HOME}${lines.map((line) => line + CLEAR_LINE).join('\n')}\n${CLEAR_REST}`;
}
