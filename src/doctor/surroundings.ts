import { realpathSync, statSync } from 'node:fs';
import { DEFAULT_FILE } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { broken, type Finding, warning } from './finding.ts';
import type { Server } from './processes.ts';
import { quoted } from './quoted.ts';

/** Of several ocservs on one machine those whose hooks use the configuration that is examined; all where none does. */
export function serversOf(examined: string, servers: readonly Server[]): readonly Server[] {
  const ours = servers.filter((server) => {
    const theirs = configurationOf(server);
    return theirs !== null && isSame(theirs, examined);
  });
  return ours.length > 0 ? ours : servers;
}

/** Hooks inherit ocserv's environment, and with it which configuration is theirs. */
export function checkSurroundings(examined: string, servers: readonly Server[]): Finding[] {
  return servers.flatMap((server) => {
    const theirs = configurationOf(server);
    if (theirs === null || isSame(theirs, examined)) return [];
    return [
      warning(
        'ocserv.environment',
        `the hooks of ocserv (process ${server.pid}) use ${theirs}, and ${examined} was checked`,
        'what is right here can be wrong there',
        `run ocagent-hook --config ${quoted(theirs)} doctor`,
      ),
    ];
  });
}

/** systemd.exec(5), PrivateTmp, as in Debian's ocserv.service: its hooks see other folders under these names than people do. */
export function checkPrivateFolders(config: Config | null, servers: readonly Server[]): Finding[] {
  if (config === null) return [];
  const paths = { 'state.path': config.state.path, 'log.file': config.log.file };
  return servers.flatMap(({ pid }) =>
    Object.entries(paths).flatMap(([key, path]) => {
      const folder = ['/tmp', '/var/tmp'].find((temporary) => path.startsWith(`${temporary}/`));
      if (folder === undefined || isSharedWith(pid, folder)) return [];
      const what = `${key} ${path} is another file for hooks: ocserv (process ${pid}) has a ${folder} of its own`;
      const why = 'hooks and commands do not see what the other wrote, and it goes with the service';
      return [broken('ocserv.private_folder', what, why, `set ${key} to a path outside of ${folder}`)];
    }),
  );
}

/** What cannot be seen counts as shared. */
function isSharedWith(pid: number, folder: string): boolean {
  try {
    const [ours, theirs] = [statSync(folder), statSync(`/proc/${pid}/root${folder}`)];
    return ours.dev === theirs.dev && ours.ino === theirs.ino;
  } catch {
    return true;
  }
}

/** Null where its environment cannot be seen. */
function configurationOf({ environment }: Server): string | null {
  return environment && (environment.get('OCAGENT_CONFIG') || DEFAULT_FILE);
}

export function isSame(a: string, b: string): boolean {
  return real(a) === real(b);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
