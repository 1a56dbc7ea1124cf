import { execFile } from 'node:child_process';
import { broken, type Finding, warning } from './finding.ts';
import { quoted } from './quoted.ts';

const TIMEOUT_MS = 5_000;
const MOST_WARNINGS = 5;
/** It is no command for everybody, so PATH may lack its folder. */
const MORE_PATH = '/usr/local/sbin:/usr/sbin:/sbin';

/** What ocserv itself says of a file: `ocserv -t` starts nothing. Null where there is no ocserv to ask. */
export async function askOcserv(file: string): Promise<readonly Finding[] | null> {
  const said = await run(file);
  if (said === null) return null;
  const check = 'ocserv.conf';
  const errors = saidAs('error: ', said.text);
  const warnings = saidAs('warning: ', said.text);
  const findings: Finding[] = [];
  if (said.failed) {
    const what = `ocserv does not accept ${file}: ${errors.join('; ') || 'it does not say why'}`;
    const why = 'ocserv does not start with it, and a reload ends ocserv, with every session';
    findings.push(broken(check, what, why, `correct it until this is content: ocserv -t -c ${quoted(file)}`));
  }
  if (warnings.length > 0) {
    const what = `ocserv says of ${file}: ${warnings.slice(0, MOST_WARNINGS).join('; ')}`;
    const why = 'what it passes over has no effect';
    findings.push(
      warning(check, what, why, `correct or remove these lines, then see ocserv -t -c ${quoted(file)}`),
    );
  }
  return findings;
}

function saidAs(kind: string, text: string): string[] {
  const lines = text.split('\n').filter((line) => line.startsWith(kind));
  return [...new Set(lines.map((line) => line.slice(kind.length).trim()))];
}

function run(file: string): Promise<{ failed: boolean; text: string } | null> {
  const env = { PATH: [process.env['PATH'], MORE_PATH].filter(Boolean).join(':'), LC_ALL: 'C' };
  return new Promise((resolve) => {
    const child = execFile(
      'ocserv',
      ['-t', '-c', file],
      { env, timeout: TIMEOUT_MS },
      (error, _out, text) => {
        resolve(error?.code === 'ENOENT' ? null : { failed: error !== null, text });
      },
    );
    child.stdin?.end();
  });
}
