import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { namesIn, textOf } from './look.ts';

/** In systemd's order: the first file of a name hides the others. */
export const UNIT_FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/**
 * systemd.unit(5): the first unit of that name, then its drop-ins in the order of their names whichever folder holds them;
 * of two drop-ins of one name the first folder's counts. One that leads to /dev/null hides the others, and says nothing.
 * @param root a folder in the place of `/`.
 */
export function unitText(root: string, name: string): string {
  const unit = UNIT_FOLDERS.map((folder) => join(root, folder, name)).find(isThere);
  const dropIns = new Map<string, string>();
  for (const folder of UNIT_FOLDERS.map((folder) => join(root, folder, `${name}.d`))) {
    for (const file of namesIn(folder)) {
      if (file.endsWith('.conf') && !dropIns.has(file)) dropIns.set(file, join(folder, file));
    }
  }
  const ordered = [...dropIns.keys()].sort().flatMap((file) => dropIns.get(file) ?? []);
  return [...(unit === undefined ? [] : [unit]), ...ordered].map(textOf).join('\n');
}

/** systemd.service(5): the commands of ExecStart. An empty one takes back those before it. */
export function execStarts(root: string, service: string): string[] {
  let commands: string[] = [];
  const text = unitText(root, service).replace(/\\\n/g, ' ');
  for (const [, command = ''] of text.matchAll(/^[ \t]*ExecStart[ \t]*=[ \t]*(.*)$/gm)) {
    commands = command.trim() === '' ? [] : [...commands, command.trim()];
  }
  return commands;
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}
