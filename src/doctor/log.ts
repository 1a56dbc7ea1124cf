import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/schema.ts';
import { type Finding, note, ok, warning } from './finding.ts';
import { isHiddenFromUs } from './look.ts';
import type { Server } from './processes.ts';
import { quoted } from './quoted.ts';

const WHY =
  'at its usual log level ocserv says nothing of a refusal: our log is the only trace of who was denied, and why';

/** Whether what hooks log arrives anywhere. */
export function checkLog(config: Config | null, servers: readonly Server[]): Finding[] {
  if (config === null) return [];
  const check = 'log';
  const { file } = config.log;
  if (file !== '') {
    try {
      accessSync(existsSync(file) ? file : dirname(file), constants.W_OK);
      return [ok(check, `hooks log to ${file}`)];
    } catch (error) {
      if (isHiddenFromUs(error)) {
        const hidden = `not checked: log.file ${file} is not this user's to write`;
        return [note(check, hidden, WHY, 'run ocagent-hook doctor as root')];
      }
      const what = `log.file ${file} cannot be written: ${(error as Error).message}; hooks log to stderr instead`;
      return [warning(check, what, WHY, `install -d ${quoted(dirname(file))}, or correct log.file`)];
    }
  }
  const lost = servers.find(({ stderr }) => stderr === '/dev/null');
  if (lost === undefined) return [];
  const what = `hooks log to ocserv's stderr, which is /dev/null (process ${lost.pid})`;
  return [warning(check, what, WHY, 'set log.file = "/var/log/ocagent-hook.log"')];
}
