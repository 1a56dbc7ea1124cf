import { dirname, join } from 'node:path';
import { broken, type Finding, note, ok, warning } from './finding.ts';
import { isTrue, type OcservConf } from './ocserv-conf.ts';
import { followScript, type Script, shellRefuses, type Writable, whoElseCanWrite } from './script.ts';

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
  return `ocserv -t -c ${file} && systemctl reload ocserv`;
}

/** The lines of ocserv.conf that make ocserv run this program. */
export async function checkScripts(file: string, conf: OcservConf, executable: string): Promise<Finding[]> {
  const lines = await Promise.all(LINES.map((line) => checkLine(file, line, conf, executable)));
  return [...lines.flat(), ...(await checkExecutable(executable))];
}

async function checkLine(file: string, line: Line, conf: OcservConf, executable: string): Promise<Finding[]> {
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
    case 'wrapper':
      return wrapper(check, file, script.path, viaShell(conf));
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

async function wrapper(check: string, file: string, path: string, byShell: boolean): Promise<Finding[]> {
  const others = whoElseCanWrite([path]);
  const findings = [
    note(
      check,
      `${file} names ${path}, which calls this program, it seems`,
      'it must end with its exit status, and hand its environment and signals on',
      'end it with: exec ocagent-hook',
    ),
  ];
  if (others !== null) findings.push(writable(others));
  const refused = byShell ? await shellRefuses(path) : null;
  if (refused !== null) {
    const what = `${path} is no script for /bin/sh: ${refused}`;
    const why = 'with restrict-user-to-routes ocserv runs it through /bin/sh: every connect is refused';
    findings.push(broken(check, what, why, 'write it for /bin/sh, or name this program itself'));
  }
  return findings;
}

/** What ocserv runs as root, and what that loads. */
async function checkExecutable(executable: string): Promise<Finding[]> {
  const check = 'executable';
  const refused = await shellRefuses(executable);
  if (refused !== null) {
    const why = 'with restrict-user-to-routes ocserv runs it through /bin/sh: every connect is refused';
    return [broken(check, `/bin/sh cannot read ${executable}: ${refused}`, why, 'install it anew')];
  }
  const others = whoElseCanWrite([executable, join(dirname(executable), '..', 'dist', 'boot.cjs')]);
  return others === null
    ? [ok(check, `${executable} is for /bin/sh, and only root can change it`)]
    : [writable(others)];
}

function writable({ path, how, cure, byAll }: Writable): Finding {
  const why = 'ocserv runs it as root, and it decides who gets in: whoever can write it can do anything here';
  return (byAll ? broken : warning)('executable', `${path} ${how}`, why, cure);
}
