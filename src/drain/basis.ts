import { statSync } from 'node:fs';
import { join } from 'node:path';

/** The file that this process runs. */
export const program = (): string => join(__dirname, 'boot.cjs');

/**
 * What a process goes by that stays for a while, as it was when it read it: this program, and its configuration. The certificates are part of
 * which portal is asked (src/portal/identity.ts).
 */
export function basis(configFile: string): string {
  return JSON.stringify([configFile, program()].map(stampOf));
}

/** With the time of the last change of its owner and mode. */
function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
}
