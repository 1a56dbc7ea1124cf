import { StateUnusable } from './unusable.ts';

/**
 * A column that holds JSON, which the schema checked when it was written. If it does not parse now, the disk has changed it
 * without SQLite noticing: nothing else in the file can be trusted either.
 * @throws {StateUnusable}
 */
export function fromJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new StateUnusable(
      `the state holds what was never written there: ${(error as Error).message}`,
      'see the disk, and move the state away: a new one is begun',
    );
  }
}
