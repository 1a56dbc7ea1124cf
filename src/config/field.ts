import { formatDuration, parseDuration } from './duration.ts';
import { isEndpoint, isHeader, shownUrl } from './endpoint.ts';

/** What a value of the file must be. `accepts` completes the sentence "accepted: …". */
export interface Field<T> {
  readonly accepts: string;
  /** Undefined where the key has no default and must be given. */
  readonly initial: T | undefined;
  /** What is given can hold a credential: it is not repeated in a message. */
  readonly secret?: true;
  /** Undefined when `raw` is not acceptable. */
  read(raw: unknown): T | undefined;
  /** As the file would write it; `config show` prints it. */
  show(value: T): unknown;
}

const same = (value: unknown): unknown => value;

export function text(initial: string): Field<string> {
  return {
    accepts: 'a string',
    initial,
    read: (raw) => (typeof raw === 'string' ? raw : undefined),
    show: same,
  };
}

/** An http(s) URL. What it holds of secrets is never shown. */
export function url(initial: string): Field<string> {
  return {
    accepts: 'a URL, such as "http://127.0.0.1:4318/v1/metrics"',
    initial,
    secret: true,
    read: (raw) => (typeof raw === 'string' && isEndpoint(raw) ? raw : undefined),
    show: shownUrl,
  };
}

export function flag(initial: boolean): Field<boolean> {
  return {
    accepts: 'true or false',
    initial,
    read: (raw) => (typeof raw === 'boolean' ? raw : undefined),
    show: same,
  };
}

export function whole(initial: number, least: number, most: number): Field<number> {
  return {
    accepts: `a whole number from ${least} to ${most}`,
    initial,
    read: (raw) =>
      typeof raw === 'number' && Number.isInteger(raw) && raw >= least && raw <= most ? raw : undefined,
    show: same,
  };
}

export function choice<const T extends string>(initial: T, ...values: readonly T[]): Field<T> {
  return {
    accepts: values.map((value) => JSON.stringify(value)).join(', '),
    initial,
    read: (raw) => values.find((value) => value === raw),
    show: same,
  };
}

/** Milliseconds inside the program, `"1h30m"` in the file. Bounds are inclusive. */
export function duration(initial: string, least: string, most: string): Field<number> {
  // Only for a value that is given: a hook would read some thirty bounds that nobody comes near.
  const isWithin = (value: number): boolean =>
    value >= (parseDuration(least) ?? Number.NaN) && value <= (parseDuration(most) ?? Number.NaN);
  return {
    accepts: `a duration from "${least}" to "${most}", such as "300ms", "30s", "1h30m"`,
    initial: parseDuration(initial) ?? undefined,
    read: (raw) => {
      const parsed = typeof raw === 'string' ? parseDuration(raw) : null;
      return parsed !== null && isWithin(parsed) ? parsed : undefined;
    },
    show: formatDuration,
  };
}

export function texts(initial: readonly string[]): Field<readonly string[]> {
  return {
    accepts: 'a list of non-empty strings',
    initial,
    read: (raw) =>
      Array.isArray(raw) && raw.every((item) => typeof item === 'string' && item !== '') ? raw : undefined,
    show: same,
  };
}

/** Header names and their values. The values can be credentials, so they are never shown. */
export function secrets(initial: Readonly<Record<string, string>>): Field<Readonly<Record<string, string>>> {
  return {
    accepts: 'a table of HTTP headers, such as { authorization = "Bearer …" }',
    initial,
    secret: true,
    read: (raw) =>
      isTable(raw) &&
      Object.entries(raw).every(([name, value]) => typeof value === 'string' && isHeader(name, value))
        ? (raw as Record<string, string>)
        : undefined,
    show: (value) => Object.fromEntries(Object.keys(value).map((name) => [name, '***'])),
  };
}

export function isTable(raw: unknown): raw is Record<string, unknown> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) && !(raw instanceof Date);
}
