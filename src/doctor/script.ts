import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** What a script line of ocserv.conf leads to. */
export type Script =
  | { readonly kind: 'this'; readonly path: string }
  /** Another copy of this program. */
  | { readonly kind: 'another copy'; readonly path: string }
  /** It calls this program, as far as its text tells. */
  | { readonly kind: 'wrapper'; readonly path: string }
  | { readonly kind: 'another program'; readonly path: string }
  /** ocserv could not run it. */
  | {
      readonly kind: 'unusable';
      readonly why: string;
      readonly cure: string;
      /** It is a folder, or no name at all. */
      readonly isNothing: boolean;
    };

/** A wrapper is short. */
const LONGEST_WRAPPER = 64 * 1024;

/**
 * @param named as ocserv.conf has it.
 * @param executable this program's launcher.
 */
export function followScript(named: string, executable: string): Script {
  if (named === '') return unusable('it is empty', `name ${executable} there`, true);
  if (!named.startsWith('/')) {
    const why = `${named} is no absolute path: ocserv looks for it wherever it was started`;
    return unusable(why, `name it from the root: ${executable}`);
  }
  let path: string;
  let stat: Stats;
  try {
    path = realpathSync(named);
    stat = statSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? `${named} does not exist` : `${named} cannot be reached: ${message}`;
    return unusable(why, `ln -s ${executable} ${named}`);
  }
  if (!stat.isFile()) {
    return unusable(`${named} is no regular file`, `name ${executable} there`, stat.isDirectory());
  }
  try {
    accessSync(path, constants.X_OK);
  } catch {
    const isForbidden = (stat.mode & 0o111) !== 0;
    return unusable(
      `${path} cannot be executed${isForbidden ? ': its file system is mounted noexec, or it is not ours' : ''}`,
      isForbidden ? `see findmnt -T ${path}` : `chmod 0755 ${path}`,
    );
  }
  if (path === realpathSync(executable)) return { kind: 'this', path };
  if (basename(path) === 'ocagent-hook') return { kind: 'another copy', path };
  const isWrapper = stat.size <= LONGEST_WRAPPER && readFileSync(path, 'latin1').includes('ocagent-hook');
  return { kind: isWrapper ? 'wrapper' : 'another program', path };
}

function unusable(why: string, cure: string, isNothing = false): Script {
  return { kind: 'unusable', why, cure, isNothing };
}

/** What /bin/sh says against it: ocserv-fw runs a script through it, whatever its first line is. Null when nothing. */
export function shellRefuses(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile('/bin/sh', ['-n', path], { timeout: 3_000 }, (error, _stdout, stderr) => {
      resolve(error === null ? null : stderr.trim().split('\n')[0] || error.message);
    });
  });
}

/** Who besides root could put something else there: what is run as root, and decides who gets in. */
export interface Writable {
  readonly path: string;
  readonly how: string;
  readonly cure: string;
  /** Anybody can, not only an owner or a group. */
  readonly byAll: boolean;
}

/** The worst of what is in the way to these files; null when only root, or whoever asks, can change them. */
export function whoElseCanWrite(paths: readonly string[]): Writable | null {
  const all = new Set(paths.flatMap((path) => [...upwards(path), ...upwards(realpathSync(path))]));
  const found = [...all].flatMap((path) => writableBy(path, statSync(path)) ?? []);
  return found.find(({ byAll }) => byAll) ?? found[0] ?? null;
}

function writableBy(path: string, { uid, gid, mode }: Stats): Writable | null {
  const how = `can be written by others (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`;
  // In a folder like /tmp only the owner can replace what is there.
  const isSticky = (mode & 0o1000) !== 0;
  if (!isSticky && (mode & 0o002) !== 0) return { path, how, cure: `chmod go-w ${path}`, byAll: true };
  if (uid !== 0 && uid !== process.geteuid?.()) {
    return { path, how: `belongs to uid ${uid}`, cure: `chown root ${path}`, byAll: false };
  }
  if (!isSticky && (mode & 0o020) !== 0 && gid !== 0 && gid !== process.getegid?.()) {
    return { path, how: `${how}, of group ${gid}`, cure: `chmod g-w ${path}`, byAll: false };
  }
  return null;
}

function upwards(path: string): string[] {
  const up = dirname(path);
  return up === path ? [path] : [path, ...upwards(up)];
}
