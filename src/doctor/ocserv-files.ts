import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { configNamed, type Server } from './processes.ts';

export const DEFAULT_CONF = '/etc/ocserv/ocserv.conf';
const OLD_CONF = '/etc/ocserv.conf';

const UNIT_FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/**
 * The ocserv.conf that is in use, and who says so: whoever asks, a running ocserv's arguments, its systemd unit, else where it is by default.
 * @param root a folder in the place of `/`, for the units.
 */
export function findOcservConf(
  given: string | undefined,
  servers: readonly Server[],
  root = '/',
): readonly string[] {
  if (given !== undefined) return [given];
  const running = servers.flatMap(({ configFile }) => configFile ?? []);
  if (running.length > 0) return [...new Set(running)];
  const named = fromUnit(root) ?? DEFAULT_CONF;
  // ocserv's own second place.
  return [named === DEFAULT_CONF && !existsSync(named) && existsSync(OLD_CONF) ? OLD_CONF : named];
}

/** systemd.unit(5): the first unit of that name counts; then drop-ins, of which the last ExecStart does. */
function fromUnit(root: string): string | null {
  const unit = UNIT_FOLDERS.map((folder) => textOf(join(root, folder, 'ocserv.service'))).find(Boolean) ?? '';
  const dropIns = UNIT_FOLDERS.map((folder) => join(root, folder, 'ocserv.service.d'))
    .flatMap((folder) => namesIn(folder).map((name) => join(folder, name)))
    .map(textOf);
  const starts = [unit, ...dropIns].flatMap((text) => [...text.matchAll(/^\s*ExecStart\s*=\s*(\S.*)$/gm)]);
  const args = starts.at(-1)?.[1]?.trim().split(/\s+/) ?? [];
  return configNamed(args, null);
}

function textOf(file: string): string {
  try {
    return statSync(file).isFile() ? readFileSync(file, 'utf8') : '';
  } catch {
    return '';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
