import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { fillCache } from './fill.ts';
import { HOOK } from './hooks.ts';
import { install } from './installation.ts';
import { type Storm, storm } from './storm.ts';
import { timed } from './timed.ts';
import { type Verdict, verdictOf } from './verdict.ts';
import { endProcesses } from './workplace.ts';

/** A storm of hooks, and what became of it. */
export interface HookStorm extends Storm {
  readonly name: string;
  readonly verdict: Verdict;
  /** At the portal, the drain's among them. */
  readonly handshakes: number;
  /** How often the breaker opened. */
  readonly openings: number;
  /** Events that the portal has not taken, long after; and what its drain says of that. */
  readonly undelivered: number;
  readonly drainError: string | null;
}

export interface HookStormKind {
  readonly source: 'cache' | 'portal';
  readonly count: number;
  readonly events: boolean;
}

/** On a state of its own, so that nothing of another storm is met there, its drain least of all. */
export async function hookStorm(
  { folder, certificates, portal }: Bench,
  name: string,
  { source, count, events }: HookStormKind,
): Promise<HookStorm> {
  const place = join(folder, name);
  const installation = install(place, certificates);
  installation.configure({ portal: portal.address, events });
  await fillCache(installation, source === 'cache' ? count : 0);
  // As on a machine that was started anew: the state is there, and nothing of what hooks have in common while it is up.
  await timed([HOOK], {
    ...installation.environment,
    REASON: 'host-update',
    USERNAME: 'nobody',
    ID: '1',
    IP_REAL: '192.0.2.1',
  });
  rmSync(installation.environment['OCAGENT_RUN_DIR'] ?? '', { recursive: true });
  await portal.tally();
  const env = installation.environment;
  const stormed = await storm(place, [HOOK], { count, first: 0, env });
  const { queued, openings } = installation.query<{ queued: number; openings: number }>(
    `SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) AS queued,
       -- It begins a new one with each opening, and was new.
       coalesce((SELECT state ->> 'generation' FROM breaker), 0) AS openings`,
  );
  const { taken, handshakes } = await portal.tally(queued);
  const { drainError } = installation.query<{ drainError: string | null }>(
    'SELECT last_error AS drainError FROM drain',
  );
  endProcesses(place);
  return {
    ...stormed,
    name,
    verdict: verdictOf(stormed.endings, source),
    handshakes,
    openings,
    undelivered: queued - taken,
    drainError,
  };
}
