import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A crontab's line or a systemd timer that runs `maintain`. */
export interface Scheduled {
  /** `/etc/cron.d/ocagent-hook`, or the name of the timer. */
  readonly where: string;
  readonly by: 'cron' | 'systemd';
  /** Why it never runs, and what to do about it; null when it does. */
  readonly idle: { readonly why: string; readonly cure: string } | null;
}

const CRONTABS = ['/etc/crontab'];
const CRON_FOLDERS = ['/etc/cron.d', '/var/spool/cron/crontabs', '/var/spool/cron'];
/** In systemd's order: the first file of a name hides the others. */
const UNIT_FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/** Everything on this machine that is meant to run it. @param root a folder in the place of `/`. */
export function findSchedules(root = '/'): Scheduled[] {
  return [...cron(root), ...timers(root)];
}

function cron(root: string): Scheduled[] {
  const files = [
    ...CRONTABS,
    ...CRON_FOLDERS.flatMap((folder) => namesIn(join(root, folder)).map((name) => join(folder, name))),
  ];
  return files
    .filter((file) => textOf(join(root, file)).split('\n').some(runsMaintain))
    .map((file) => ({ where: file, by: 'cron', idle: whyCronIgnores(root, file) }));
}

/** crontab(5): a line that is no comment. Settings (`PATH=…`) have no command. */
export function runsMaintain(line: string): boolean {
  return /^\s*[^#\s].*\bocagent-hook\b.*\smaintain\b/.test(line) && !/^\s*\w+\s*=/.test(line);
}

/** cron(8) of Debian: what it passes over without a word. */
function whyCronIgnores(root: string, file: string): Scheduled['idle'] {
  const name = file.slice(file.lastIndexOf('/') + 1);
  if (file.startsWith('/etc/cron.d/') && !/^[A-Za-z0-9_-]+$/.test(name)) {
    const why = `cron passes over files in /etc/cron.d whose names hold a dot or the like`;
    return { why, cure: `mv ${file} /etc/cron.d/${name.replace(/[^A-Za-z0-9_-]/g, '-')}` };
  }
  const { mode, uid } = statSync(join(root, file));
  if (file.startsWith('/etc/') && (mode & 0o022) !== 0) {
    return { why: 'cron passes over files that others can write', cure: `chmod 0644 ${file}` };
  }
  if (file.startsWith('/etc/') && uid !== 0) {
    return { why: `cron passes over files of others than root (uid ${uid})`, cure: `chown root ${file}` };
  }
  if (!textOf(join(root, file)).endsWith('\n')) {
    return { why: 'cron wants a line end after the last line', cure: `echo >>${file}` };
  }
  return null;
}

function timers(root: string): Scheduled[] {
  const names = new Set(UNIT_FOLDERS.flatMap((folder) => namesIn(join(root, folder))));
  return [...names]
    .filter((name) => name.endsWith('.timer'))
    .filter((name) => {
      const timer = unit(root, name);
      const service = /^\s*Unit\s*=\s*(\S+)/m.exec(timer)?.[1] ?? name.replace(/\.timer$/, '.service');
      return unit(root, service).split('\n').some(execsMaintain);
    })
    .map((name) => ({ where: name, by: 'systemd', idle: whyTimerIsIdle(root, name) }));
}

/** systemd.service(5). */
function execsMaintain(line: string): boolean {
  return /^\s*ExecStart\s*=.*\bocagent-hook\b.*\smaintain\b/.test(line);
}

/** Enabled is what a `….wants` folder leads to; one that was only started is gone with the next boot. */
function whyTimerIsIdle(root: string, name: string): Scheduled['idle'] {
  const wanted = UNIT_FOLDERS.some((folder) =>
    namesIn(join(root, folder))
      .filter((entry) => /\.(wants|requires)$/.test(entry))
      .some((entry) => namesIn(join(root, folder, entry)).includes(name)),
  );
  return wanted ? null : { why: 'it is not enabled', cure: `systemctl enable --now ${name}` };
}

function unit(root: string, name: string): string {
  for (const folder of UNIT_FOLDERS) {
    const text = textOf(join(root, folder, name));
    if (text !== '') return text;
  }
  return '';
}

/** Empty where there is none, or it is not ours to see. */
function textOf(file: string): string {
  try {
    return statSync(file).isFile() ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
