import type { Config } from '../config/schema.ts';
import { checkOwnCertificates } from './certificates.ts';
import { checkConfiguration } from './configuration.ts';
import { broken, type Finding, note } from './finding.ts';
import { judgeMaintain } from './maintain.ts';
import { checkOcctl } from './occtl.ts';
import { checkOcserv } from './ocserv.ts';
import { checkPortal } from './portal.ts';
import { runningServers } from './processes.ts';
import { findSchedules } from './schedule.ts';
import { checkState } from './state.ts';
import { serversOf } from './surroundings.ts';
import { checkTelemetry } from './telemetry.ts';
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
  const parts = await Promise.all([
    checkStateAndMaintain(config, asked.executable),
    config && guarded('portal', () => checkPortal(config, canCall)),
    config && guarded('portal.tls', async () => checkOwnCertificates(config.portal.tls, new Date())),
    guarded('ocserv', () => checkOcserv({ ...asked, config, servers })),
    config && guarded('occtl', () => checkOcctl(config, servers.length > 0)),
    config && guarded('telemetry', () => checkTelemetry(config)),
  ]);
  return [...whoAsks(), configured, ...parts].flatMap((part) =>
    part === null ? [] : 'findings' in part ? part.findings : part,
  );
}

/** When maintain last ran is on record in the state. */
async function checkStateAndMaintain(config: Config | null, executable: string): Promise<readonly Finding[]> {
  const seen = config && (await guarded('state', () => checkState(config)));
  const lastMaintain = seen !== null && 'findings' in seen ? seen.lastMaintain : undefined;
  const maintain = await guarded('maintain', async () =>
    judgeMaintain(findSchedules(), lastMaintain, Date.now(), executable),
  );
  return [seen ?? [], maintain].flatMap((part) => ('findings' in part ? part.findings : part));
}

async function guarded<T>(check: string, run: () => Promise<T>): Promise<T | readonly Finding[]> {
  const failed = (how: string): readonly Finding[] => [
    broken(
      check,
      `it could not be checked: ${how}`,
      'it may be broken',
      'see what is named there; run as root',
    ),
  ];
  try {
    const result = await within(LIMIT_MS, run());
    return result === 'late' ? failed(`it took longer than ${LIMIT_MS / 1_000} s`) : result;
  } catch (error) {
    return failed((error as Error).message);
  }
}

function whoAsks(): Finding[] {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0) return [];
  const why = 'ocserv runs its scripts as root: what only root can see was not checked';
  return [note('doctor', `this runs as uid ${uid}`, why, 'run ocagent-hook doctor as root')];
}
