import { broken, type Finding, note, ok, warning } from './finding.ts';
import { isTrue, type OcservConf } from './ocserv-conf.ts';
import { quoted } from './quoted.ts';
import { followScript, type Script, shellRefuses } from './script.ts';
import { isSame } from './surroundings.ts';
import { programFiles, type Writable, whoElseCanWrite } from './trusted-files.ts';

const LINES = ['connect-script', 'disconnect-script', 'host-update-script'] as const;
type Line = (typeof LINES)[number];

/** What follows where ocserv does not run us. */
const WHY: Readonly<Record<Line, string>> = {
  'connect-script': 'EVERYBODY WHO LOGS IN GETS IN WITHOUT THE PORTAL BEING ASKED',
  'disconnect-script': 'the portal is not told when sessions end, nor of their traffic',
  'host-update-script': "the portal does not learn a client's host name where it comes late",
};

/** A reload with a file that it does not accept ends ocserv, and with it every session (measured). */
function reload(file: string): string {
  return `ocserv -t -c ${quoted(file)} && systemctl reload ocserv`;
}

/** This program as it is examined. */
export interface Program {
  /** Its launcher. */
  readonly executable: string;
  readonly configFile: string;
}

/** The lines of ocserv.conf that make ocserv run this program. */
export async function checkScripts(file: string, conf: OcservConf, program: Program): Promise<Finding[]> {
  const lines = await Promise.all(LINES.map((line) => checkLine(file, line, conf, program)));
  const named = LINES.flatMap((line) => conf.settings.get(line)?.value ?? []);
  return [...lines.flat(), ...(await checkExecutable(program.executable, named))];
}

async function checkLine(
  file: string,
  line: Line,
  conf: OcservConf,
  { executable, configFile }: Program,
): Promise<Finding[]> {
  const check = `ocserv.${line}`;
  const worst = line === 'host-update-script' ? note : broken;
  const cure = `in ${file}: ${line} = ${executable}; then: ${reload(file)}`;
  const setting = conf.settings.get(line);
  if (setting === undefined) return [missing(file, line, conf, worst, cure)];
  const script = followScript(setting.value, executable);
  switch (script.kind) {
    case 'this':
      return [ok(check, `${file} names ${setting.value}`)];
    case 'unusable': {
      const why = line === 'connect-script' && !letsIn(script, conf) ? REFUSED : WHY[line];
      const what = `the ${line} of ${file} (line ${setting.line}) cannot be run: ${script.why}`;
      if (!setting.continued) return [broken(check, what, why, script.cure)];
      const blank = `${what}; the line begins with a blank, so ocserv takes it as a further value of ${line}`;
      return [broken(check, blank, why, `in ${file}: remove the blanks before line ${setting.line}`)];
    }
    case 'another copy': {
      const why = 'what is checked here is not what decides there';
      const run = `run ${script.path} doctor; or, ${cure}`;
      return [warning(check, `${file} names ${script.path}, another copy of this program`, why, run)];
    }
    case 'another program':
      return [worst(check, `${file} names ${script.path}, which is another program`, WHY[line], cure)];
    case 'hidden': {
      const what = `not checked: ${file} names ${setting.value}, which this user cannot see or run`;
      return [note(check, what, WHY[line], 'run ocagent-hook doctor as root')];
    }
    case 'wrapper':
      return wrapper(check, file, script, configFile, viaShell(conf));
  }
}

const REFUSED = 'ocserv refuses every connect whose script cannot be run (401 Cookie is not acceptable)';

/** ocserv-fw hands the path to /bin/sh, and that takes nothing, or a folder, for a script without a command (measured). */
function letsIn(script: Script & { kind: 'unusable' }, conf: OcservConf): boolean {
  return script.isNothing && viaShell(conf);
}

/** With it ocserv runs ocserv-fw, and that runs the script through /bin/sh. */
function viaShell({ settings }: OcservConf): boolean {
  return isTrue(settings.get('restrict-user-to-routes')?.value);
}

/** A line at the end of the file easily comes to stand in a section. */
function missing(
  file: string,
  line: Line,
  { misplaced }: OcservConf,
  worst: typeof broken,
  cure: string,
): Finding {
  const check = `ocserv.${line}`;
  const lost = misplaced.find(({ name }) => name === line);
  if (lost === undefined) return worst(check, `${file} has no ${line}`, WHY[line], cure);
  return worst(
    check,
    `the ${line} of ${file} (line ${lost.line}) stands in [${lost.section}], where ocserv ignores it`,
    WHY[line],
    `in ${file}: move line ${lost.line} above the first line that begins with "["; then: ${reload(file)}`,
  );
}

async function wrapper(
  check: string,
  file: string,
  { path, configFile: theirs }: Script & { kind: 'wrapper' },
  examined: string,
  byShell: boolean,
): Promise<Finding[]> {
  const findings = [
    note(
      check,
      `${file} names ${path}, which calls this program, it seems`,
      'it must end with its exit status, and hand its environment and signals on',
      'end it with: exec ocagent-hook',
    ),
  ];
  if (theirs !== null && !isSame(theirs, examined)) {
    const what = `${path} sets OCAGENT_CONFIG to ${theirs}, and ${examined} was checked`;
    const cure = `run ocagent-hook --config ${quoted(theirs)} doctor`;
    findings.push(warning(check, what, 'what is right here can be wrong there', cure));
  }
  const refused = byShell ? await shellRefuses(path) : null;
  if (refused !== null) {
    const what = `${path} is no script for /bin/sh: ${refused}`;
    const why = 'with restrict-user-to-routes ocserv runs it through /bin/sh: every connect is refused';
    findings.push(broken(check, what, why, 'write it for /bin/sh, or name this program itself'));
  }
  return findings;
}

/** What ocserv runs as root, and what that loads. @param named the scripts, as ocserv.conf has them. */
async function checkExecutable(executable: string, named: readonly string[]): Promise<Finding[]> {
  const check = 'executable';
  const refused = await shellRefuses(executable);
  if (refused !== null) {
    const why = 'with restrict-user-to-routes ocserv runs it through /bin/sh: every connect is refused';
    return [broken(check, `/bin/sh cannot read ${executable}: ${refused}`, why, 'install it anew')];
  }
  const scripts = named.filter((path) => path.startsWith('/'));
  const others = whoElseCanWrite([...scripts, ...programFiles(executable)]);
  if (others.length > 0) return others.map(writable);
  const uid = process.geteuid?.() ?? 0;
  const who = uid === 0 ? 'root' : `root and uid ${uid}`;
  return [ok(check, `${executable} is for /bin/sh, and only ${who} can change it`)];
}

function writable({ path, how, cure, byAll }: Writable): Finding {
  const why = 'ocserv runs it as root, and it decides who gets in: whoever can write it can do anything here';
  return (byAll ? broken : warning)('executable', `${path} ${how}`, why, cure);
}
