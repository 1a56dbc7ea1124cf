import { existsSync } from 'node:fs';
import { configNamed, type Server } from './processes.ts';
import { execStarts } from './units.ts';

export const DEFAULT_CONF = '/etc/ocserv/ocserv.conf';
const OLD_CONF = '/etc/ocserv.conf';

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

/** Of several ExecStart the last counts. */
function fromUnit(root: string): string | null {
  return configNamed(execStarts(root, 'ocserv.service').at(-1)?.split(/\s+/) ?? [], null);
}
