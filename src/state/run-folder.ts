import { lstatSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the processes of one machine meet that do not need the state for it: it is gone when the machine is started anew. */
export function runFolder(...names: string[]): string {
  return join(process.env['OCAGENT_RUN_DIR'] || '/run/ocagent-hook', ...names);
}

/** Nobody reads a part of it. @throws where it cannot be written. */
export function writeWhole(file: string, text: string): void {
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, text, { mode: 0o600 });
  renameSync(aside, file);
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
