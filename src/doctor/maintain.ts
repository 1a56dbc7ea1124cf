import { LATE_MAINTAIN_SECONDS } from '../metrics/limits.ts';
import { type Age, ageOf } from './age.ts';
import { configOption } from './cures.ts';
import { broken, type Finding, note, ok, warning } from './finding.ts';
import { commandNames } from './processes.ts';
import { quoted } from './quoted.ts';
import type { Scheduled } from './schedule.ts';

const CHECK = 'maintain';

const WHY =
  'it is the safety net: traffic of live sessions, ends that nobody told of, events that were left over, old rows';

/**
 * @param lastRun wall milliseconds; null when it has never been run; undefined where that cannot be seen.
 * @param now wall milliseconds.
 * @param cronLine what a crontab of the system's needs.
 */
export function judgeMaintain(
  schedules: readonly Scheduled[],
  lastRun: number | null | undefined,
  now: number,
  cronLine: string,
  running: ReadonlySet<string> = commandNames(),
): Finding[] {
  const good = schedules.filter(({ idle }) => idle === null);
  const findings = schedules.flatMap(({ where, idle }) =>
    idle === null ? [] : [idleFinding(where, idle, good.length > 0)],
  );
  const age = typeof lastRun === 'number' ? ageOf(lastRun, now) : null;
  const isRecent = typeof age === 'number' && age <= LATE_MAINTAIN_SECONDS * 1_000;
  const ago = inWords(age);
  if (schedules.length === 0) return [unscheduled(isRecent, lastRun, ago, cronLine)];
  const [first] = good;
  if (first === undefined) return findings;
  const { where, by } = first;
  if (
    !isRecent &&
    by === 'cron' &&
    ![...running].some((name) => /^(cron|crond|cronie|dcron|fcron)$/.test(name))
  ) {
    const what = `${where} would run ocagent-hook maintain, and no cron runs on this machine`;
    return [...findings, broken(CHECK, what, WHY, 'systemctl enable --now cron')];
  }
  if (isRecent) findings.push(ok(CHECK, `${where} runs ocagent-hook maintain, last ${ago}`));
  else if (lastRun === undefined) findings.push(ok(CHECK, `${where} runs ocagent-hook maintain`));
  else if (lastRun === null) {
    const what = `${where} is to run ocagent-hook maintain, and it has never come to its end with this state`;
    findings.push(warning(CHECK, what, WHY, 'wait for a minute; else run it by hand: ocagent-hook maintain'));
  } else {
    const what = `${where} is to run ocagent-hook maintain, and it last came to its end ${ago}`;
    const cure = `run it by hand: ocagent-hook maintain; and see ${by === 'cron' ? 'the log of cron: journalctl -u cron' : `systemctl status ${where}`}`;
    findings.push(broken(CHECK, what, WHY, cure));
  }
  return findings;
}

function inWords(age: Age | null): string {
  if (age === null) return 'never';
  return age === 'in the future'
    ? 'in the future: the clock was set back'
    : `${Math.round(age / 60_000)} minute(s) ago`;
}

/** crontab(5): a line for the system's own, in which `%` would end the command. */
export function cronLineOf(executable: string, configFile: string): string {
  const command = `${quoted(executable)}${configOption(configFile)} maintain --quiet`;
  return `* * * * * root ${command.replaceAll('%', '\\%')}`;
}

function unscheduled(
  isRecent: boolean,
  lastRun: number | null | undefined,
  ago: string,
  cronLine: string,
): Finding {
  const cure = `echo ${quoted(cronLine)} >/etc/cron.d/ocagent-hook`;
  if (isRecent) {
    const what = `no crontab or timer that runs ocagent-hook maintain was found, but it ran ${ago}`;
    return note(CHECK, what, WHY, `see that something runs it every minute; else: ${cure}`);
  }
  if (lastRun === undefined && process.geteuid?.() !== 0) {
    // Root's own crontab is for root's eyes.
    const what = 'nothing that this user can see runs ocagent-hook maintain';
    return warning(CHECK, what, WHY, 'run ocagent-hook doctor as root');
  }
  const last = lastRun === undefined ? '' : lastRun === null ? ', nor ever has' : `; it last ran ${ago}`;
  return broken(CHECK, `nothing runs ocagent-hook maintain${last}`, WHY, cure);
}

function idleFinding(
  where: string,
  { why, cure }: NonNullable<Scheduled['idle']>,
  isCovered: boolean,
): Finding {
  const what = `${where} never runs ocagent-hook maintain: ${why}`;
  return isCovered ? note(CHECK, what, 'another schedule runs it', cure) : broken(CHECK, what, WHY, cure);
}
