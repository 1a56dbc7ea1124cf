import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isHiddenFromUs } from './look.ts';
import { quoted } from './quoted.ts';

/** What a script line of ocserv.conf leads to. */
export type Script =
  | { readonly kind: 'this'; readonly path: string }
  /** Another copy of this program. */
  | { readonly kind: 'another copy'; readonly path: string }
  /** It calls this program, as far as its text tells. */
  | {
      readonly kind: 'wrapper';
      readonly path: string;
      /** The configuration that it sets; null where it sets none, or one that its text does not tell. */
      readonly configFile: string | null;
    }
  | { readonly kind: 'another program'; readonly path: string }
  /** Root may run it; whoever asks cannot see. */
  | { readonly kind: 'hidden'; readonly path: string }
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
    if (isHiddenFromUs(error)) return { kind: 'hidden', path: named };
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? `${named} does not exist` : `${named} cannot be reached: ${message}`;
    return unusable(why, `ln -s ${quoted(executable)} ${quoted(named)}`);
  }
  if (!stat.isFile()) {
    return unusable(`${named} is no regular file`, `name ${executable} there`, stat.isDirectory());
  }
  try {
    accessSync(path, constants.X_OK);
  } catch (error) {
    const isForbidden = (stat.mode & 0o111) !== 0;
    if (isForbidden && isHiddenFromUs(error)) return { kind: 'hidden', path };
    return unusable(
      `${path} cannot be executed${isForbidden ? ': its file system is mounted noexec, or it is not ours' : ''}`,
      isForbidden ? `see findmnt -T ${quoted(path)}` : `chmod 0755 ${quoted(path)}`,
    );
  }
  if (path === realpathSync(executable)) return { kind: 'this', path };
  return lookInside(path, stat.size);
}

/** By its name alone a wrapper could be taken for a copy of this program. */
function lookInside(path: string, size: number): Script {
  if (basename(path) === 'ocagent-hook') {
    const isCopy = size > LONGEST_WRAPPER || existsSync(join(path, '..', '..', 'dist', 'boot.cjs'));
    if (isCopy) return wholeCopy(path);
  }
  if (size > LONGEST_WRAPPER) return { kind: 'another program', path };
  let text: string;
  try {
    text = readFileSync(path, 'latin1').replace(/^\s*#.*$/gm, '');
  } catch (error) {
    if (isHiddenFromUs(error)) return { kind: 'hidden', path };
    throw error;
  }
  if (!text.includes('ocagent-hook')) return { kind: 'another program', path };
  const sets = [...text.matchAll(/\bOCAGENT_CONFIG=("[^"$`]*"|'[^']*'|[^\s;"'$`]+)(?=[\s;]|$)/g)].at(-1)?.[1];
  return { kind: 'wrapper', path, configFile: sets?.replace(/^["']|["']$/g, '') || null };
}

/** A launcher that a power cut has left empty, or cut short, could not say so itself: run as doctor it says nothing at all. */
function wholeCopy(path: string): Script {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    if (isHiddenFromUs(error)) return { kind: 'hidden', path };
    throw error;
  }
  if (text.endsWith('\n}\n')) return { kind: 'another copy', path };
  // /bin/sh takes comments alone for nothing, and whatever else it has of it for an error.
  const isNothing = !/^[^#\n]/m.test(text);
  return unusable(`${path} is ${isNothing ? 'empty' : 'cut short'}`, 'install it anew', isNothing);
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
