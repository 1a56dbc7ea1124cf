import { join } from 'node:path';
import { configFile } from '../config/load.ts';
import { examineInstallation } from '../doctor/doctor.ts';
import type { Finding, Level } from '../doctor/finding.ts';
import type { GlobalOptions } from './context.ts';
import { paint, print, printJson, visible } from './output.ts';

export interface DoctorOptions extends GlobalOptions {
  readonly ocservConf?: string;
}

/** `{ ok, broken, warnings, findings: [{ check, level, what, why, cure }] }`. Exit 1 when something is broken. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const findings = await examineInstallation({
    configFile: configFile(options.config),
    ocservConf: options.ocservConf,
    // This file is in dist/ once it is built.
    executable: join(__dirname, '..', 'bin', 'ocagent-hook'),
  });
  const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
  const isOk = count('broken') === 0;
  if (options.json) {
    await printJson({ ok: isOk, broken: count('broken'), warnings: count('warning'), findings });
  } else {
    await print(
      WORST_FIRST.flatMap((level) => findings.filter((f) => f.level === level).map(entry)).join('\n'),
    );
    await print(
      `\n${count('broken')} broken, ${count('warning')} warning(s), ${count('note')} note(s), ${count('ok')} ok`,
    );
  }
  return isOk ? 0 : 1;
}

const WORST_FIRST: readonly Level[] = ['broken', 'warning', 'note', 'ok'];
const COLOURS = { broken: 'red', warning: 'yellow', note: 'bold', ok: 'green' } as const;

function entry({ level, check, what, why, cure }: Finding): string {
  const label = (text: string): string => text.padEnd(9);
  const lines = [`${paint(COLOURS[level], label(level))}${visible(what)} ${paint('dim', `[${check}]`)}`];
  if (why !== '') lines.push(`${label('')}why:  ${visible(why)}`);
  if (cure !== '') lines.push(`${label('')}cure: ${visible(cure)}`);
  return lines.join('\n');
}
