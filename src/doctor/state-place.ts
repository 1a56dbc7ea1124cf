import { accessSync, constants, lstatSync, readdirSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { checkTrust } from '../state/trust.ts';
import { StateUnusable } from '../state/unusable.ts';
import { judgeFileSystem } from './file-system.ts';
import { broken, type Finding, note, ok, warning } from './finding.ts';
import { quoted } from './quoted.ts';
import { within } from './within.ts';

const WITHOUT_STATE =
  'hooks go on without it: no cache, no breaker, no fail mode stale, and no session on record';

/** Where the state lies: whether hooks use it, who can see it, and what is left of the disk. */
export async function checkStatePlace(path: string): Promise<{ usable: boolean; findings: Finding[] }> {
  const folder = dirname(path);
  // The first look is one that a dead network file system cannot hold this process up with.
  const stats = await within(
    3_000,
    statfs(folder).catch(() => null),
  );
  if (stats === 'late') {
    const what = `${folder} does not answer: its file system hangs`;
    const cure = 'see mount and dmesg; set state.path to a folder on a local disk';
    return { usable: false, findings: [broken('state.file_system', what, WITHOUT_STATE, cure)] };
  }
  const findings = stats === null ? [] : judgeFileSystem(folder, stats);
  const trust = trustIn(path);
  findings.unshift(...trust);
  if (trust.some(({ level }) => level !== 'ok')) return { usable: false, findings };
  findings.push(...modes(folder, path), ...writability(folder), ...setAside(path));
  return { usable: true, findings };
}

function trustIn(path: string): Finding[] {
  try {
    const identity = checkTrust(path);
    return [ok('state.trust', identity === null ? `${dirname(path)} is ours` : `${path} is ours`)];
  } catch (error) {
    if (!(error instanceof StateUnusable)) throw error;
    // What root's hooks can use may be out of reach for the person who asks.
    if (process.geteuid?.() !== 0 && belongsToRoot(dirname(path))) {
      const why = 'what cannot be looked at may be broken';
      return [
        warning('state.trust', `not checked: ${error.message}`, why, 'run ocagent-hook doctor as root'),
      ];
    }
    return [broken('state.trust', error.message, WITHOUT_STATE, error.cure)];
  }
}

function belongsToRoot(folder: string): boolean {
  try {
    return statSync(folder, { throwIfNoEntry: false })?.uid === 0;
  } catch {
    return true;
  }
}

function modes(folder: string, path: string): Finding[] {
  const findings: Finding[] = [];
  const why = 'names, addresses and decisions in it are not for others';
  if ((statSync(folder).mode & 0o055) !== 0) {
    const what = `${folder} can be entered or read by others (mode ${modeOf(folder)})`;
    findings.push(warning('state.folder', what, why, `chmod 0700 ${quoted(folder)}`));
  } else findings.push(ok('state.folder', `${folder} is closed to others`));
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined && (statSync(path).mode & 0o177) !== 0) {
    const what = `${path} has mode ${modeOf(path)}`;
    findings.push(warning('state.mode', what, why, `chmod 0600 ${quoted(path)}`));
  }
  return findings;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o7777).toString(8).padStart(4, '0');
}

function writability(folder: string): Finding[] {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    const isReadOnly = (error as NodeJS.ErrnoException).code === 'EROFS';
    const why = 'what is on record still answers, but no decision, session or accounting is recorded';
    return [
      isReadOnly
        ? broken(
            'state.writable',
            `${folder} is on a file system that is mounted read-only`,
            why,
            `see dmesg for why, then: mount -o remount,rw $(findmnt -n -o TARGET -T ${quoted(folder)})`,
          )
        : broken(
            'state.writable',
            `${folder} cannot be written: ${(error as Error).message}`,
            why,
            `see its mode and mount: ls -ld ${quoted(folder)}; findmnt -T ${quoted(folder)}`,
          ),
    ];
  }
}

/** Databases that were corrupt: what they hold is not lost before somebody has looked. */
function setAside(path: string): Finding[] {
  const folder = dirname(path);
  const prefix = `${basename(path)}.corrupt-`;
  const files = readdirSync(folder).filter(
    (entry) => entry.startsWith(prefix) && /^\d+$/.test(entry.slice(prefix.length)),
  );
  return files.map((file) =>
    warning(
      'state.set_aside',
      `${join(folder, file)} was corrupt and has not been searched for undelivered events yet`,
      'accounting in it reaches the portal only once it has been salvaged',
      'run ocagent-hook maintain, and see the disk: dmesg, smartctl',
    ),
  );
}

/** No state yet: the first hook makes it. */
export function noStateYet(path: string): Finding {
  return note(
    'state.file',
    `there is no state yet at ${path}`,
    'nothing is on record: no hook has run with this configuration',
    'none is needed: the first connect makes it',
  );
}
