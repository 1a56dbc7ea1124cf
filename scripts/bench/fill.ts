import { join } from 'node:path';
import type { Installation } from './installation.ts';
import { timed } from './timed.ts';

/** Makes an installation's state, with so many decisions, `age` milliseconds old: those of the users from number 0 on. */
export async function fillCache({ environment }: Installation, count: number, age = 0): Promise<void> {
  const script = join(import.meta.dirname, 'fill-cache.ts');
  await timed([process.execPath, '--no-warnings', script, `${count}`, `${age}`], environment, 'inherit');
}
