import { rfc3339 } from './time.ts';

/** What one line says besides its message. Undefined fields are left out. */
export type Fields = Readonly<Record<string, unknown>>;

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** One line of JSON: `time`, `level`, `msg`, then the fields in the order given. */
export function jsonLine(time: Date, level: Level, message: string, fields: Fields): string {
  return `${printable(JSON.stringify({ time: rfc3339(time), level, msg: message, ...fields }, bounded))}\n`;
}

/**
 * `time LEVEL message key=value …`, whom it is about first: a value that is more than a word stands in quotes, escaped as in JSON.
 * @param time null for a reader that knows time and level by itself, as the journal does.
 */
export function textLine(time: Date | null, level: Level, message: string, fields: Fields): string {
  const head = time === null ? [] : [rfc3339(time), level.toUpperCase().padEnd(5)];
  const { username, client_ip, ...rest } = fields;
  const words = flat({ username, client_ip, ...rest })
    .filter(([, value]) => !isNothing(value))
    .map(([key, value]) => `${key}=${word(value)}`);
  return `${[...head, printable(message), ...words].join(' ')}\n`;
}

/** What sd-daemon(3) lets a line on stderr begin with, so that the journal knows its priority. The journal takes it off. */
const PRIORITY: Readonly<Record<Level, string>> = { debug: '<7>', info: '<6>', warn: '<4>', error: '<3>' };

export function priorityOf(level: Level): string {
  return PRIORITY[level];
}

/** A table within a table as `cache.state`. */
function flat(fields: Fields): [string, unknown][] {
  return Object.entries(fields).flatMap(([key, value]): [string, unknown][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([inner, one]) => [`${key}.${inner}`, one])
      : [[key, value]],
  );
}

function isNothing(value: unknown): boolean {
  return (
    value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
  );
}

function word(value: unknown): string {
  if (typeof value === 'string' && /^[\w.:@/+-]+$/.test(value)) return value;
  return printable(JSON.stringify(value, bounded));
}

/** Characters of one value past which a line is no longer one that a person reads, nor one write an atomic one. */
const LONGEST = 512;

/** Items of one list, likewise. */
const MOST = 32;

function bounded(_key: string, value: unknown): unknown {
  if (Array.isArray(value) && value.length > MOST)
    return [...value.slice(0, MOST), `… ${value.length - MOST} more`];
  return typeof value === 'string' && value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
}

/**
 * JSON leaves characters as they are that a terminal or a log viewer acts on: C1 controls, separators that start a
 * new line, and marks that turn the direction of text. A username can hold them all.
 */
function printable(json: string): string {
  // Most lines are plain ASCII, and compiling the expression below takes 1 % of a hook's life.
  if (!/[^ -~]/.test(json)) return json;
  return json.replace(/[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu, (character) =>
    [...Array(character.length).keys()]
      .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
