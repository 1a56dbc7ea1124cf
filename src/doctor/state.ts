import { lstatSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { exportStatus } from '../state/export-turn.ts';
import { lastMaintainRun } from '../state/maintenance.ts';
import { checkBacklog } from './events.ts';
import type { Finding } from './finding.ts';
import { checkStateContent } from './state-content.ts';
import { checkStatePlace, noStateYet } from './state-place.ts';

export interface StateSeen {
  readonly findings: readonly Finding[];
  /** Wall milliseconds of the last run of maintain; null when there has been none, undefined where it cannot be seen. */
  readonly lastMaintain: number | null | undefined;
  /** The same of the last export of metrics that the collector took. */
  readonly lastExport: number | null | undefined;
}

/** The state: where it lies, what it holds, and what waits in it. */
export async function checkState(config: Config): Promise<StateSeen> {
  const { path } = config.state;
  const { usable, findings } = await checkStatePlace(path);
  if (!usable) return { findings, lastMaintain: undefined, lastExport: undefined };
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) {
    return { findings: [...findings, noStateYet(path)], lastMaintain: null, lastExport: null };
  }
  let lastMaintain: number | null | undefined;
  let lastExport: number | null | undefined;
  const content = await checkStateContent(path, (tx) => {
    lastMaintain = lastMaintainRun(tx);
    lastExport = exportStatus(tx).lastSuccess;
    return checkBacklog(tx, config);
  });
  return { findings: [...findings, ...content], lastMaintain, lastExport };
}
