import { join } from 'node:path';
import type { Bench, Found } from './bench.ts';
import { type Installation, install } from './installation.ts';
import { interleave, ratioGoals, ratioTable } from './measure.ts';
import { type Cost, timed } from './timed.ts';
import { endProcesses } from './workplace.ts';

export const HOOK = join(import.meta.dirname, '..', '..', 'bin', 'ocagent-hook');
/** Nobody listens there: a connection is refused at once. */
const AWAY = '127.0.0.1:1';

/** Each kind has an installation of its own, so that the events of one do not wake the drain of another. */
export async function measureHooks({ folder, certificates, portal, rounds, empty }: Bench): Promise<Found> {
  const steady = install(join(folder, 'steady'), certificates);
  const off = install(join(folder, 'off'), certificates);
  const lone = install(join(folder, 'lone'), certificates);
  const first = install(join(folder, 'first'), certificates);
  const away = install(join(folder, 'away'), certificates);
  steady.configure({ portal: portal.address, events: true });
  for (const one of [lone, first]) one.configure({ portal: portal.address, events: true });
  off.configure({ portal: portal.address, events: false });
  // The decision that its connects are answered from is cached while the portal is there, and before there are any events.
  away.configure({ portal: portal.address, events: false });
  await connect(away, 99_998);
  away.configure({ portal: AWAY, events: true });

  /** One that finds no drain, and whose launcher starts one. The next row is not measured beside that. */
  const starting = async (run: () => Promise<Cost>): Promise<Cost> => {
    const cost = await run();
    endProcesses(join(folder, 'first'));
    // As that one would have left it.
    if (first.write(`UPDATE drain SET lease = 'free' WHERE lease <> 'free'`) !== 1)
      throw new Error('no drain was started');
    return cost;
  };

  // Before there is any drain that stays: what one does after the hook that has started it would be measured along.
  const alone = await interleave(
    [
      empty,
      {
        name: 'cached connect, events off',
        goal: {
          figure: 'cached connect, against an empty script: no drain being there, events off',
          wall: 1.1,
          cpu: 1.1,
        },
        run: (round) => connect(off, round),
      },
      {
        name: 'cached connect, the first of many: it has a drain started',
        goal: {
          figure: 'cached connect, against an empty script: no drain being there, events on',
          wall: 1.1,
          cpu: 1.1,
        },
        run: (round) => starting(() => connect(first, round)),
      },
      { name: 'disconnect, events off', run: (round) => disconnect(off, round) },
      {
        name: 'disconnect, the first of many',
        run: (round) => starting(() => disconnect(first, round)),
      },
    ],
    rounds,
  );
  const measured = await interleave(
    [
      empty,
      {
        name: 'cached connect',
        goal: { figure: 'cached connect, against an empty script: in steady traffic', wall: 1.1, cpu: 1.1 },
        run: (round) => connect(steady, round),
      },
      {
        name: 'portal connect, alone',
        goal: { figure: 'portal connect over mTLS, single: with a connection of its own', wall: 2.5 },
        run: (round) => {
          // The drain of the round before would ask for it.
          endProcesses(join(folder, 'lone'));
          return portalConnect(lone, round);
        },
      },
      { name: 'portal connect, a drain being there', run: (round) => portalConnect(steady, round) },
      {
        name: 'disconnect',
        goal: { figure: 'disconnect, events enabled, in steady traffic', wall: 1.15, cpu: 1.15 },
        run: (round) => disconnect(steady, round),
      },
      { name: 'cached connect, portal away', run: (round) => connect(away, round) },
      { name: 'disconnect, portal away', run: (round) => disconnect(away, round) },
    ],
    rounds,
  );
  const notes = [told('steady traffic', steady), told('events off', off), told('portal away', away)];
  return {
    tables: [
      ratioTable('Hooks, no drain being there', alone),
      { ...ratioTable('Hooks', measured), notes: [notes.join('; ')] },
    ],
    goals: [...ratioGoals(measured), ...ratioGoals(alone)],
  };
}

interface Aftermath {
  readonly otherwise: number;
  readonly drains: number;
  readonly waiting: number;
}

/** What has become of the events. @throws when a row did not do what its name says. */
export function told(kind: string, installation: Installation): string {
  const { otherwise, drains, waiting } = installation.query<Aftermath>(
    `SELECT (SELECT count(*) FROM session WHERE ended_wall IS NOT NULL AND source <> 'cache') AS otherwise,
       (SELECT term FROM drain) AS drains, (SELECT count(*) FROM event) AS waiting`,
  );
  // The first of all is what the others are cached from.
  if (otherwise > 1) throw new Error(`${kind}: ${otherwise} connects were not answered from the cache`);
  return `${kind}: ${drains} ${drains === 1 ? 'drain' : 'drains'}, ${waiting} events waiting at its end`;
}

function hook({ environment }: Installation, env: Readonly<Record<string, string>>): Promise<Cost> {
  return timed([HOOK], { ...environment, USERNAME: 'alice', GROUPNAME: 'staff', ...env });
}

export function connect(installation: Installation, round: number): Promise<Cost> {
  return hook(installation, { REASON: 'connect', ID: `${round + 1}`, IP_REAL: '198.51.100.7' });
}

/** From an address that is not cached. */
function portalConnect(installation: Installation, round: number): Promise<Cost> {
  const address = `198.18.${round >> 8}.${round & 255}`;
  return hook(installation, { REASON: 'connect', ID: `${round + 30_000}`, IP_REAL: address });
}

/** Of the session that the connect of this round has begun. */
function disconnect(installation: Installation, round: number): Promise<Cost> {
  return hook(installation, {
    REASON: 'disconnect',
    ID: `${round + 1}`,
    STATS_BYTES_IN: '1',
    STATS_BYTES_OUT: '2',
    STATS_DURATION: '1',
  });
}
