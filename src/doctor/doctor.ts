import { checkOwnCertificates } from './certificates.ts';
import { askCollector } from './collector.ts';
import { checkConfiguration } from './configuration.ts';
import { forConfiguration } from './cures.ts';
import { broken, type Finding, note, warning } from './finding.ts';
import { isHiddenFromUs } from './look.ts';
import { cronLineOf, judgeMaintain } from './maintain.ts';
import { checkOcctl } from './occtl.ts';
import { checkOcserv } from './ocserv.ts';
import { checkPortal } from './portal.ts';
import { runningServers } from './processes.ts';
import { findSchedules } from './schedule.ts';
import { checkState } from './state.ts';
import { serversOf } from './surroundings.ts';
import { judgeTelemetry } from './telemetry.ts';
import { within } from './within.ts';

export interface Asked {
  readonly configFile: string;
  /** ocserv.conf, where it is not to be looked for. */
  readonly ocservConf: string | undefined;
  /** This program's launcher. */
  readonly executable: string;
}

/** Milliseconds past which a check has failed; each bounds its own waits far below that. */
const LIMIT_MS = 20_000;

/** The whole installation, and nothing of it is changed. What one check comes to, or that it failed, hides no other. */
export async function examineInstallation(asked: Asked): Promise<readonly Finding[]> {
  const configured = await guarded('configuration', () => checkConfiguration(asked.configFile));
  const { config, canCall } = 'config' in configured ? configured : { config: null, canCall: false };
  const servers = serversOf(asked.configFile, runningServers());
  const [portal, certificates, ocserv, occtl, collector] = await Promise.all([
    config && guarded('portal', () => checkPortal(config, canCall)),
    config && guarded('portal.tls', async () => checkOwnCertificates(config.portal.tls, new Date())),
    guarded('ocserv', () => checkOcserv({ ...asked, config, servers })),
    config && guarded('occtl', () => checkOcctl(config, servers.length > 0)),
    config && guarded('telemetry', () => askCollector(config.telemetry), warning),
  ]);
  // SQLite reads a large state for seconds, deaf: whoever waited for an answer meanwhile would find that none had come.
  const state = config && (await guarded('state', () => checkState(config), broken, null));
  const seen = state !== null && 'findings' in state ? state : null;
  const cronLine = cronLineOf(asked.executable, asked.configFile);
  const maintain = await guarded('maintain', async () =>
    judgeMaintain(findSchedules(), seen?.lastMaintain, Date.now(), cronLine),
  );
  const telemetry =
    collector !== null && 'answer' in collector
      ? judgeTelemetry(collector.endpoint, collector.answer, seen?.lastExport)
      : collector;
  return [whoAsks(), configured, state, maintain, portal, certificates, ocserv, occtl, telemetry]
    .flatMap((part) => (part === null ? [] : 'findings' in part ? part.findings : part))
    .map((finding) => forConfiguration(finding, asked.configFile));
}

/**
 * @param level what a check that failed comes to.
 * @param limit null: it bounds its own waits, and may be busy for as long as it takes.
 */
async function guarded<T>(
  check: string,
  run: () => Promise<T>,
  level: typeof broken = broken,
  limit: number | null = LIMIT_MS,
): Promise<T | readonly Finding[]> {
  const failed = (how: string, as = level): readonly Finding[] => [
    as(check, `it could not be checked: ${how}`, 'it may be broken', 'see what is named there; run as root'),
  ];
  try {
    const result = await (limit === null ? run() : within(limit, run()));
    return result === 'late' ? failed(`it took longer than ${LIMIT_MS / 1_000} s`) : result;
  } catch (error) {
    return failed((error as Error).message, isHiddenFromUs(error) ? note : level);
  }
}

function whoAsks(): Finding[] {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0) return [];
  const why = 'ocserv runs its scripts as root: what only root can see was not checked';
  return [note('doctor', `this runs as uid ${uid}`, why, 'run ocagent-hook doctor as root')];
}
