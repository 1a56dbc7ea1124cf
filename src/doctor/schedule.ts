import { statSync } from 'node:fs';
import { join } from 'node:path';
import { namesIn, textOf } from './look.ts';
import { callsMaintain } from './maintain-command.ts';
import { quoted } from './quoted.ts';
import { execStarts, UNIT_FOLDERS, unitText } from './units.ts';

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

/** crontab(5): when, then, in the system's own, who, then what. Past a `%` comes what the command reads. Settings (`PATH=…`) and comments have no command. */
export function runsMaintain(line: string): boolean {
  const [, command] =
    /^\s*(?:@\w+|-?(?:[\d*~][^\s=]*\s+){3}(?:[\w*~][^\s=]*\s+)[\w*~][^\s=]*)\s+(.*)$/.exec(line.trimEnd()) ??
    [];
  if (command === undefined) return false;
  const [read = ''] = command.replaceAll('\\%', '\u0000').split('%');
  return callsMaintain(read.replaceAll('\u0000', '%'));
}

/** cron(8) of Debian: what it passes over without a word. */
function whyCronIgnores(root: string, file: string): Scheduled['idle'] {
  const name = file.slice(file.lastIndexOf('/') + 1);
  if (file.startsWith('/etc/cron.d/') && !/^[A-Za-z0-9_-]+$/.test(name)) {
    const why = `cron passes over files in /etc/cron.d whose names hold a dot or the like`;
    return { why, cure: `mv ${quoted(file)} /etc/cron.d/${name.replace(/[^A-Za-z0-9_-]/g, '-')}` };
  }
  const { mode, uid } = statSync(join(root, file));
  if (file.startsWith('/etc/') && (mode & 0o022) !== 0) {
    return { why: 'cron passes over files that others can write', cure: `chmod 0644 ${file}` };
  }
  if (file.startsWith('/etc/') && uid !== 0) {
    return { why: `cron passes over files of others than root (uid ${uid})`, cure: `chown root ${file}` };
  }
  if (!textOf(join(root, file)).endsWith('\n')) {
    return { why: 'cron wants a line end after the last line', cure: `echo >>${quoted(file)}` };
  }
  return null;
}

function timers(root: string): Scheduled[] {
  const names = new Set(UNIT_FOLDERS.flatMap((folder) => namesIn(join(root, folder))));
  return [...names]
    .filter((name) => name.endsWith('.timer'))
    .filter((name) => {
      const [named] = [...unitText(root, name).matchAll(/^[ \t]*Unit[ \t]*=[ \t]*(\S+)/gm)].slice(-1);
      const service = named?.[1] ?? name.replace(/\.timer$/, '.service');
      return execStarts(root, service).some(execsMaintain);
    })
    .map((name) => ({ where: name, by: 'systemd', idle: whyTimerIsIdle(root, name) }));
}

/** systemd.service(5): before the command there can be signs for how it is run. */
function execsMaintain(command: string): boolean {
  return callsMaintain(command.replace(/^[-@:+!|]+/, ''));
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
