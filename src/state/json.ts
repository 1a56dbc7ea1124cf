import { StateUnusable } from './unusable.ts';

/**
 * A column that holds JSON, which was checked when it was written. If it is something else now, the disk has changed it
 * without SQLite noticing: nothing else in the file can be trusted either.
 * @throws {StateUnusable}
 */
export function fromJson<T>(text: string, is: (value: unknown) => value is T): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (is(value)) return value;
  throw neverWritten();
}

/** The state holds something that no program of ours has put there, or lacks what each has. */
export function neverWritten(): StateUnusable {
  return new StateUnusable(
    'the state holds what was never written there',
    'see the disk, and move the state away: a new one is begun',
  );
}

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
