import { parseTOML } from 'toml-eslint-parser';
import type { Problem } from './read.ts';

/** Each problem as `file:line: message`, with the nearest known key where one is near. */
export function explain(file: string, source: string, problems: readonly Problem[]): string[] {
  const lines = linesByKey(source);
  const placed = problems.map((problem) => ({ ...problem, line: nearestLine(lines, problem.keys) }));
  placed.sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  return placed.map(({ keys, message, known, line }) => {
    const nearest = known === undefined ? undefined : nearestName(keys.at(-1) ?? '', known);
    const cure =
      known === undefined
        ? ''
        : nearest === undefined
          ? `; known here: ${known.join(', ')}`
          : `; did you mean ${[...keys.slice(0, -1), nearest].join('.')}?`;
    return `${file}${line === undefined ? '' : `:${line}`}: ${message}${cure}`;
  });
}

/** The first line of every key and table, by its full path. Paths are joined by NUL, which no key of ours holds. */
function linesByKey(source: string): Map<string, number> {
  const lines = new Map<string, number>();
  const note = (path: readonly (string | number)[], line: number): void => {
    const key = path.join('\0');
    if (!lines.has(key)) lines.set(key, line);
  };
  const name = (part: { type: string; name?: string; value?: unknown }): string =>
    String(part.name ?? part.value);
  const [top] = parseTOML(source).body;
  if (top === undefined) return lines;
  for (const node of top.body) {
    const at = node.type === 'TOMLTable' ? node.resolvedKey : [];
    if (node.type === 'TOMLTable')
      for (let i = 1; i <= at.length; i++) note(at.slice(0, i), node.loc.start.line);
    for (const pair of node.type === 'TOMLTable' ? node.body : [node]) {
      const parts = pair.key.keys.map(name);
      for (let i = 1; i <= parts.length; i++) note([...at, ...parts.slice(0, i)], pair.loc.start.line);
      if (pair.value.type !== 'TOMLInlineTable') continue;
      for (const inner of pair.value.body) {
        note([...at, ...parts, ...inner.key.keys.map(name)], inner.loc.start.line);
      }
    }
  }
  return lines;
}

/** A key that is missing has no line: the line of the table that should hold it is where to look. */
function nearestLine(lines: ReadonlyMap<string, number>, keys: readonly string[]): number | undefined {
  for (let length = keys.length; length > 0; length--) {
    const line = lines.get(keys.slice(0, length).join('\0'));
    if (line !== undefined) return line;
  }
  return undefined;
}

function nearestName(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(name.toLowerCase(), candidate) }))
    .sort((a, b) => a.far - b.far)[0];
  return ranked !== undefined && ranked.far <= Math.max(2, name.length / 3) ? ranked.candidate : undefined;
}

/** Levenshtein's: how many letters must be put in, taken out or changed. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
