import { styleText } from 'node:util';

/** Writes all of `text` to stdout before going on: a pipe takes it in parts, and leaving early would cut it. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`, () => resolve());
  });
}

export async function printJson(value: unknown): Promise<void> {
  await print(JSON.stringify(value, null, 2));
}

type Colour = 'red' | 'green' | 'yellow' | 'bold' | 'dim';

/** Colour on a terminal only, and never with NO_COLOR: `styleText` sees to both. */
export function paint(colour: Colour, text: string): string {
  return styleText(colour, text, { stream: process.stdout });
}

/** Rows of columns, each as wide as its widest cell. Cells must hold no colour: its codes have no width. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}

/** `name: value` lines with the values under each other. */
export function sheet(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${(name && `${name}:`).padEnd(width + 2)}${value}`).join('\n');
}

/** Foreign text on a terminal: control characters, and marks that turn the direction of text, show as escapes. */
export function visible(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => JSON.stringify(character).slice(1, -1))
    .replace(
      /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
      (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
    );
}

/** `12s`, `5m`, `3h`, `2d`: for people; `--json` has seconds. */
export function roughly(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)}s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}
