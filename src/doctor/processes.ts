import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { statOf } from '../state/process.ts';

/** The names of all processes, as far as they can be seen. */
export function commandNames(): ReadonlySet<string> {
  return new Set(pids().map(nameOf));
}

/** A running ocserv of this machine, not of a container on it: its main process, which starts the scripts. */
export interface Server {
  readonly pid: number;
  /** What `-c` or `--config` named. ocserv wipes its own arguments out; those of a worker are the same, while there is one. */
  readonly configFile: string | null;
  /** Where its scripts' log lines go; null where it cannot be seen. */
  readonly stderr: string | null;
  /** What the scripts inherit; null where it cannot be seen. */
  readonly environment: ReadonlyMap<string, string> | null;
  /** The ocserv.conf that it goes by, as it was when it was read last; null where it cannot be seen. */
  readonly inForce: string | null;
}

export function runningServers(): Server[] {
  const all = pids();
  const workers = all.filter((pid) => nameOf(pid) === 'ocserv-worker');
  return all.filter(isMain).map((pid) => {
    const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`));
    const itsWorkers = workers.filter((worker) => parentOf(worker) === pid);
    return {
      pid,
      configFile:
        [pid, ...itsWorkers].map((of) => configNamed(fields(of, 'cmdline') ?? [], cwd)).find(Boolean) ?? null,
      stderr: attempt(() => readlinkSync(`/proc/${pid}/fd/2`)),
      environment: environmentOf(fields(pid, 'environ')),
      inForce: inForce(pid),
    };
  });
}

/** A script that is about to be run still has its name. */
function isMain(pid: number): boolean {
  return nameOf(pid) === 'ocserv-main' && nameOf(parentOf(pid)) !== 'ocserv-main' && isOurs(pid);
}

/**
 * ocserv keeps copies of what its workers must read, its configuration first, in files that have no name any more
 * (src/common/snapshot.c of 1.1.6): at a reload, a new one.
 */
function inForce(pid: number): string | null {
  const folder = `/proc/${pid}/fd`;
  const copies = (attempt(() => readdirSync(folder)) ?? [])
    .map((fd) => `${folder}/${fd}`)
    .filter((fd) => /\/ocserv_\w{6} \(deleted\)$/.test(attempt(() => readlinkSync(fd)) ?? ''))
    .map((fd) => attempt(() => readFileSync(fd, 'utf8')) ?? '');
  // The others are certificates and the like.
  return copies.find((text) => /^\s*socket-file\s*[=:]/m.test(text)) ?? null;
}

/** A container has process ids of its own. */
function isOurs(pid: number): boolean {
  const space = attempt(() => readlinkSync(`/proc/${pid}/ns/pid`));
  return space === null || space === attempt(() => readlinkSync('/proc/self/ns/pid'));
}

/** ocserv(8), as getopt_long(3) reads it: `-c F`, `-cF`, `-fc F`, `--config F`, `--config=F`, `--conf F`; the last wins. */
export function configNamed(args: readonly string[], cwd: string | null): string | null {
  let named: string | null = null;
  for (const [index, arg] of args.entries()) {
    const [, attached] = /^(?:--c(?:o|on|onf|onfi|onfig)?(?:=|$)|-[ftv]*c)(.*)$/.exec(arg) ?? [];
    if (index > 0 && attached !== undefined) named = (attached || args[index + 1])?.trim() || null;
  }
  return named === null || named.startsWith('/') || cwd === null ? named : `${cwd}/${named}`;
}

function environmentOf(settings: readonly string[] | null): ReadonlyMap<string, string> | null {
  if (settings === null) return null;
  return new Map(
    settings.map((setting) => {
      const at = setting.indexOf('=');
      return [setting.slice(0, at), setting.slice(at + 1)] as const;
    }),
  );
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);
}

function nameOf(pid: number): string {
  return attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? '';
}

function parentOf(pid: number): number {
  return attempt(() => statOf(pid).parent) ?? 0;
}

function fields(pid: number, file: string): string[] | null {
  return attempt(() => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter(Boolean));
}

/** Null for what has ended in the meantime, or is hidden from us. */
function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
