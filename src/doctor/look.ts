import { readdirSync, readFileSync, statSync } from 'node:fs';

/** A file's text. Empty where there is none, or it is not ours to see. */
export function textOf(file: string): string {
  try {
    return statSync(file).isFile() ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}

/** The names in a folder, sorted. None where there is no such folder, or it is not ours to see. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Only root sees all that root's hooks see: for anybody else a denial says nothing about them. */
export function isHiddenFromUs(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EACCES' && process.geteuid?.() !== 0;
}
