import type { Config } from '../config/schema.ts';
import { deliverOrWait } from '../events/flush.ts';
import { describe } from '../events/settle.ts';
import { syncSessions } from '../sessions/sync.ts';
import { untilDone } from '../state/batches.ts';
import { noteMaintainRun } from '../state/maintenance.ts';
import { lastSeq, pendingCount } from '../state/outbox.ts';
import { dropQueued, listFailed } from '../state/outbox-list.ts';
import { removeSalvaged, salvage } from '../state/salvage.ts';
import {
  hasSessionsBeforeEvents,
  removeOldSessions,
  removeSessionsBeforeEvents,
} from '../state/session-records.ts';
import type { State } from '../state/state.ts';
import { exportMetrics } from '../telemetry/export.ts';
import { cleanUp } from './cache.ts';
import {
  configOf,
  type GlobalOptions,
  LONG_PATIENCE_MS,
  logFor,
  mustBeRecorded,
  stateOf,
} from './context.ts';
import { paint, print, printJson, visible } from './output.ts';

export interface MaintainOptions extends GlobalOptions {
  readonly quiet?: boolean;
}

/** What one part came to: its figures, and what failed. */
interface Done {
  readonly figures: Readonly<Record<string, number>>;
  readonly problems?: readonly string[];
}

interface Part {
  readonly name: string;
  readonly run: (config: Config, state: State) => Promise<Done>;
}

/** All periodic work in its order; each part's failure leaves the others running, and two at once do no harm. */
const PARTS: readonly Part[] = [
  { name: 'cleanup', run: cleanup },
  { name: 'retention', run: retention },
  { name: 'salvage', run: salvageAside },
  { name: 'events', run: events },
  { name: 'sessions', run: sessions },
  { name: 'export', run: exportAll },
];

/** One line for cron or a systemd timer. Exit 1 when a part failed; with --quiet only such parts say anything. */
export async function maintain(options: MaintainOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config, { create: true, patience: LONG_PATIENCE_MS });
  const results = [];
  for (const { name, run } of PARTS) {
    const { figures, problems = [] } = await run(config, state).catch(
      (error: unknown): Done => ({ figures: {}, problems: [(error as Error).message] }),
    );
    results.push({ part: name, ok: problems.length === 0, ...figures, problems });
    if (options.json || (options.quiet && problems.length === 0)) continue;
    const did = Object.entries(figures).map(([what, n]) => `${n} ${what.replaceAll('_', ' ')}`);
    const failed = problems.map((problem) => `${paint('red', 'failed')}: ${visible(problem)}`);
    await print(`${`${name}:`.padEnd(11)}${[...did, ...failed].join(', ')}`);
  }
  await state.step(noteMaintainRun);
  if (options.json) await printJson(results);
  return results.every(({ ok }) => ok) ? 0 : 1;
}

async function cleanup(config: Config, state: State): Promise<Done> {
  return { figures: { expired_decisions_removed: await cleanUp(config, state) } };
}

/** What is older than sessions.keep: closed sessions of which the portal has all, failed events, databases set aside. */
async function retention({ sessions: { keep }, state: { path } }: Config, state: State): Promise<Done> {
  const before = Date.now() - keep;
  const failed = await untilDone(state, (tx, atMost) => {
    const old = listFailed(tx, atMost, before);
    dropQueued(tx, old);
    return old.length;
  });
  let old = await untilDone(state, (tx, atMost) => removeOldSessions(tx, before, atMost));
  // No index helps there, so the lock is taken only where there is something to remove.
  if (await state.read((tx) => hasSessionsBeforeEvents(tx, before))) {
    old += await untilDone(state, (tx, atMost) => removeSessionsBeforeEvents(tx, before, atMost));
  }
  mustBeRecorded(state);
  return {
    figures: {
      old_sessions_removed: old,
      failed_events_dropped: failed,
      databases_removed: removeSalvaged(path, keep),
    },
  };
}

async function salvageAside({ state: { path } }: Config, state: State): Promise<Done> {
  const salvaged = await salvage(path, state);
  const sum = (count: (one: (typeof salvaged)[number]) => number): number =>
    salvaged.reduce((total, one) => total + count(one), 0);
  return {
    figures: {
      databases: salvaged.length,
      events_recovered: sum(({ events }) => events),
      sessions_recovered: sum(({ sessions }) => sessions),
    },
    problems: salvaged.flatMap(({ file, lost }) => lost.map((what) => `${file}: ${what}`)),
  };
}

async function events(config: Config, state: State): Promise<Done> {
  const upTo = await state.read(lastSeq);
  const report = await deliverOrWait(config, state, logFor(config), { force: false, upTo });
  const away = report?.away ?? null;
  return {
    figures: { delivered: report?.delivered ?? 0, pending: await state.read(pendingCount) },
    problems: away === null ? [] : [`the portal could not be told: ${describe(away)}`],
  };
}

async function sessions(config: Config, state: State): Promise<Done> {
  const { live, takenUp, closed, ordered, invalid, problems } = await syncSessions({
    config,
    state,
    log: logFor(config),
  });
  return { figures: { live, taken_up: takenUp, closed, invalid, ended_by_order: ordered }, problems };
}

async function exportAll(config: Config, state: State): Promise<Done> {
  if (!config.telemetry.enabled) return { figures: {} };
  const result = await exportMetrics(config, state, 0);
  return {
    figures: { exported: result.kind === 'sent' ? 1 : 0 },
    // Without a collector there is nothing to mend, and cron must not complain every minute.
    problems: result.kind === 'failed' ? [`the metrics could not be exported: ${result.why}`] : [],
  };
}
