/** Figures as people read them: on a terminal, and in a document. Pure. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  /** What stands first names the row. */
  readonly rows: readonly (readonly string[])[];
  /** What a reader needs to know beside it. */
  readonly notes?: readonly string[];
}

export function textOf({ title, columns, rows, notes = [] }: Table): string {
  const widths = columns.map((_, at) =>
    Math.max(...[columns, ...rows].map((row) => [...(row[at] ?? '')].length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => (isText(rows, at) ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return [
    title,
    ...[columns, ...rows].map((row) => `  ${line(row)}`),
    ...notes.map((note) => `  ${note}`),
    '',
  ].join('\n');
}

export function markdownOf({ title, columns, rows, notes = [] }: Table): string {
  const line = (row: readonly string[]): string =>
    `| ${columns.map((_, at) => (row[at] ?? '').replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${columns.map((_, at) => (isText(rows, at) ? '---|' : '---:|')).join('')}`;
  return [
    `## ${title}`,
    '',
    line(columns),
    rule,
    ...rows.map(line),
    ...notes.flatMap((note) => ['', note]),
    '',
  ].join('\n');
}

/** A column of words is read from its left, one of numbers from its right. */
function isText(rows: readonly (readonly string[])[], at: number): boolean {
  return at === 0 || rows.some((row) => /\p{L}{2}/u.test(row[at] ?? ''));
}
