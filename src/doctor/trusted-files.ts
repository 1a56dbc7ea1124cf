import { lstatSync, readdirSync, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { quoted } from './quoted.ts';

/** Who besides root could put something else there: what is run as root, and decides who gets in. */
export interface Writable {
  readonly path: string;
  readonly how: string;
  readonly cure: string;
  /** Anybody can, not only an owner or a group. */
  readonly byAll: boolean;
}

/** All that a run of this program loads, by the names under which it is loaded. */
export function programFiles(launcher: string): string[] {
  const home = join(realpathSync(launcher), '..', '..');
  const dist = join(home, 'dist');
  return [
    launcher,
    join(home, 'node_modules', '.bin', 'node'),
    dist,
    ...readdirSync(dist).map((name) => join(dist, name)),
  ];
}

/** What is in the way to these files, or they themselves, and others than root, or than whoever asks, can change. */
export function whoElseCanWrite(paths: readonly string[]): Writable[] {
  const seen = new Map(paths.flatMap((path) => wayTo(path).map((step) => [step.path, step])));
  return [...seen.values()].flatMap((step) => writableBy(step) ?? []);
}

interface Step {
  readonly path: string;
  readonly stat: Stats;
}

/** Links that Linux follows before it takes them for a circle. */
const MOST_LINKS = 40;

/** Every folder, link and file that is gone through, as the system does, link after link. As far as can be seen. */
function wayTo(path: string): Step[] {
  const steps: Step[] = [];
  const pending = ['/', ...path.split('/')];
  let at = '/';
  for (let links = 0; pending.length > 0 && links <= MOST_LINKS; ) {
    const name = pending.shift() ?? '';
    if (name === '' || name === '.') continue;
    const next = join(at, name);
    const stat = look(next);
    if (stat === null) break;
    steps.push({ path: next, stat });
    if (stat.isSymbolicLink()) {
      links++;
      const target = readlinkSync(next);
      if (target.startsWith('/')) at = '/';
      pending.unshift(...target.split('/'));
    } else at = next;
  }
  return steps;
}

function look(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

function writableBy({ path, stat }: Step): Writable | null {
  const { uid, gid, mode } = stat;
  const isForeign = uid !== 0 && uid !== process.geteuid?.();
  // Nobody writes to a link; where whoever owns it can replace it, it is his folder, or one like /tmp.
  if (stat.isSymbolicLink() && !(isForeign && isSticky(look(dirname(path))))) return null;
  const how = `can be written by others (mode ${(mode & 0o7777).toString(8).padStart(4, '0')})`;
  // In a folder like /tmp only the owner can replace what is there.
  const isClosed = stat.isSymbolicLink() || (stat.isDirectory() && isSticky(stat));
  if (!isClosed && (mode & 0o002) !== 0) {
    return { path, how, cure: `chmod go-w ${quoted(path)}`, byAll: true };
  }
  if (isForeign) {
    const chown = stat.isSymbolicLink() ? 'chown -h root' : 'chown root';
    return { path, how: `belongs to uid ${uid}`, cure: `${chown} ${quoted(path)}`, byAll: false };
  }
  if (!isClosed && (mode & 0o020) !== 0 && gid !== 0 && gid !== process.getegid?.()) {
    return { path, how: `${how}, of group ${gid}`, cure: `chmod g-w ${quoted(path)}`, byAll: false };
  }
  return null;
}

function isSticky(stat: Stats | null): boolean {
  return stat !== null && (stat.mode & 0o1000) !== 0;
}
