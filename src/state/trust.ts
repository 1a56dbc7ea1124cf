import { lstatSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StateUnusable } from './unusable.ts';

/** Which file a path led to. Two looks that agree saw the same file. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

/** What is not there is no file. */
export function sameFile(a: FileIdentity | null | undefined, b: FileIdentity | null | undefined): boolean {
  return a != null && b != null && a.dev === b.dev && a.ino === b.ino;
}

/**
 * State that somebody else can write could let anybody in, so it is not used (design: "Secrets and strangers").
 * @returns the file's identity, or null when there is none yet.
 * @throws {StateUnusable} with the reason and the cure.
 */
export function checkTrust(path: string): FileIdentity | null {
  const folder = dirname(path);
  const folderStat = look(() => statSync(folder), folder);
  if (folderStat === null) {
    throw new StateUnusable(
      `the state's folder ${folder} does not exist`,
      `install -d -m 0700 ${folder}, as the user whom ocserv runs its scripts as (root)`,
    );
  }
  if (!folderStat.isDirectory()) {
    throw new StateUnusable(`${folder} is not a folder`, 'set state.path to a file in a folder of its own');
  }
  checkOwner(folder, folderStat, '0700');
  const stat = look(() => lstatSync(path), path);
  if (stat === null) return null;
  if (!stat.isFile()) {
    throw new StateUnusable(
      `${path} is not a regular file`,
      'move it away, or set state.path to another file',
    );
  }
  checkOwner(path, stat, '0600');
  return { dev: stat.dev, ino: stat.ino };
}

function checkOwner(path: string, stat: Stats, mode: string): void {
  const uid = process.geteuid?.() ?? 0;
  if (stat.uid !== uid) {
    throw new StateUnusable(
      `${path} belongs to uid ${stat.uid}, and this runs as uid ${uid}`,
      `run as the user whom ocserv runs its scripts as (root), or chown ${path} if it was copied here`,
    );
  }
  if ((stat.mode & 0o022) !== 0) {
    throw new StateUnusable(
      `${path} can be written by others (mode ${(stat.mode & 0o7777).toString(8).padStart(4, '0')})`,
      `chmod ${mode} ${path}`,
    );
  }
}

function look(stat: () => Stats, path: string): Stats | null {
  try {
    return stat();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code === 'EACCES') {
      throw new StateUnusable(`${path}: permission denied`, 'run as root, or as the user who owns the state');
    }
    throw new StateUnusable(`${path} cannot be looked at: ${message}`, 'see what the path leads to');
  }
}
