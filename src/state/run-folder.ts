import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where the processes of one machine meet that do not need the state for it: it is gone when the machine is started anew. */
export function runFolder(...names: string[]): string {
  return join(process.env['OCAGENT_RUN_DIR'] || '/run/ocagent-hook', ...names);
}

/** @throws where it can neither be made nor used. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const found = lstatSync(folder);
    // Whoever else may write there could lead us elsewhere.
    if (!found.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o022) !== 0) throw error;
  }
}
