import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Config } from '../config/schema.ts';
import { broken, type Finding, note, ok, warning } from './finding.ts';
import { checkLog } from './log.ts';
import { parseOcservConf } from './ocserv-conf.ts';
import { DEFAULT_CONF, findOcservConf } from './ocserv-files.ts';
import { judgeSettings } from './ocserv-settings.ts';
import { askOcserv } from './ocserv-test.ts';
import type { Server } from './processes.ts';
import { quoted } from './quoted.ts';
import { checkScripts } from './scripts.ts';
import { checkPrivateFolders, checkSurroundings } from './surroundings.ts';

export interface OcservAsked {
  /** Null where it cannot be used; what does not need it is looked at all the same. */
  readonly config: Config | null;
  readonly configFile: string;
  readonly ocservConf: string | undefined;
  readonly executable: string;
  readonly servers: readonly Server[];
}

/** ocserv's side: what it runs when somebody connects, how long it waits, and what it hands on. */
export async function checkOcserv(asked: OcservAsked): Promise<Finding[]> {
  const { config, servers } = asked;
  const files = findOcservConf(asked.ocservConf, servers);
  const each = await Promise.all(files.map((file) => checkFile(file, asked)));
  return [
    ...each.flat(),
    ...checkSurroundings(asked.configFile, servers),
    ...checkPrivateFolders(config, servers),
    ...checkLog(config, servers),
  ];
}

async function checkFile(
  file: string,
  { config, configFile, ocservConf, executable, servers }: OcservAsked,
): Promise<Finding[]> {
  const read = readConf(file);
  const running = servers.find(({ inForce }) => inForce !== null);
  const findings: Finding[] = [];
  if (running !== undefined && running.inForce !== read) findings.push(notInForce(file, running.pid));
  // What decides is what ocserv goes by, unless another file was asked for.
  const text = ocservConf === undefined ? (running?.inForce ?? read) : read;
  if (typeof text !== 'string') return [...findings, unreadable(file, text)];
  const conf = parseOcservConf(text);
  const judged = [
    ...(await checkScripts(file, conf, { executable, configFile })),
    ...judgeSettings(file, conf, config),
  ];
  return [
    ...findings,
    ...(await accepted(file, conf.unreadable)),
    ...(text === read ? judged : judged.map((finding) => inForceAt(finding, running?.pid))),
  ];
}

/** What is not as the file says must not seem to be read there. */
function inForceAt(finding: Finding, pid: number | undefined): Finding {
  return { ...finding, what: `${finding.what} (as ocserv, process ${pid}, has it in force)` };
}

function readConf(file: string): string | NodeJS.ErrnoException {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

function notInForce(file: string, pid: number): Finding {
  return warning(
    'ocserv.reload',
    `the ocserv that runs (process ${pid}) goes by another configuration than ${file} holds now`,
    'what was changed there has no effect yet, or ocserv was started with another file',
    `ocserv -t -c ${quoted(file)} && systemctl reload ocserv; or name its file: ocagent-hook doctor --ocserv-conf FILE`,
  );
}

/** By ocserv's own word where it can be had; it reads the keys and certificates that are named there, as root. */
async function accepted(file: string, unreadableLine: number | null): Promise<readonly Finding[]> {
  const check = 'ocserv.conf';
  const said = process.geteuid?.() === 0 ? await askOcserv(file) : null;
  if (said !== null && said.length > 0) return said;
  if (said !== null || unreadableLine === null) return [ok(check, `${file} is read`)];
  const what = `line ${unreadableLine} of ${file} has neither "=" nor ":"`;
  const why = 'ocserv does not start with it, and a reload ends ocserv, with every session';
  return [broken(check, what, why, `correct or remove line ${unreadableLine}`)];
}

function unreadable(file: string, { code, message }: NodeJS.ErrnoException): Finding {
  const check = 'ocserv.conf';
  const why = 'whether ocserv asks the portal at all is written there';
  if (code === 'EACCES' && process.geteuid?.() !== 0) {
    return note(check, `${file} cannot be read by this user`, why, 'run ocagent-hook doctor as root');
  }
  const where = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`;
  const cure =
    file === DEFAULT_CONF
      ? 'install ocserv, or name the file that it uses: ocagent-hook doctor --ocserv-conf FILE'
      : `name the file that ocserv uses: --ocserv-conf; see ls -l ${quoted(dirname(file))}`;
  return broken(check, `${file} ${where}`, why, cure);
}
