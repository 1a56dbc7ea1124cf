import { join } from 'node:path';
import type { Bench, Found } from './bench.ts';
import { fillCache } from './fill.ts';
import { HOOK } from './hooks.ts';
import { type Installation, install } from './installation.ts';
import { interleave, type Row, ratioTable } from './measure.ts';
import { peerEnvironment } from './peers.ts';
import { addressOf, allowedNumber, GROUP, userOf } from './population.ts';
import { type Command, type Cost, timed } from './timed.ts';
import { endProcesses } from './workplace.ts';

/** Whom the cache of one of the installations holds; those beyond are new. */
const KNOWN = 1_000;

/** One decision each, of the same portal over mutual TLS: by the hook, and by what else could be written instead of it. */
export async function measureSideBySide(bench: Bench): Promise<Found> {
  const { folder, certificates, portal, empty } = bench;
  const { ready, missing } = bench.peers();
  const steady = install(join(folder, 'steady'), certificates);
  const lone = install(join(folder, 'lone'), certificates);
  steady.configure({ portal: portal.address, events: true });
  lone.configure({ portal: portal.address, events: true });
  await fillCache(steady, KNOWN);
  const peer = (command: Command) => (round: number) => ask(command, peerEnvironment(bench), round);
  const rows: Row[] = [
    empty,
    { name: 'the hook, from its cache', run: (round) => hook(steady, round) },
    {
      name: 'the hook, portal',
      run: (round) => {
        // The drain of the connect before would ask for it, over the connection that it has.
        endProcesses(join(folder, 'lone'));
        return hook(lone, round);
      },
    },
    {
      name: 'the hook, portal, its drain being there',
      run: (round) => hook(steady, KNOWN + round),
    },
    ...ready.map(({ name, command }) => ({ name: `${name}, portal`, run: peer(command) })),
  ];
  const rounds = Math.max(3, Math.round(bench.rounds / 2));
  const table = ratioTable('Side by side, one decision each', await interleave(rows, rounds));
  return {
    tables: [
      {
        ...table,
        notes: [
          'Only the hook has a database, a breaker, an outbox and a log. Each process checks the answer.',
          ...missing,
        ],
      },
    ],
  };
}

function hook({ environment }: Installation, nth: number): Promise<Cost> {
  return ask([HOOK], { ...environment, REASON: 'connect', GROUPNAME: GROUP }, nth);
}

/** For one who is let in: any other answer is an error. */
function ask(command: Command, env: Readonly<Record<string, string>>, nth: number): Promise<Cost> {
  const number = allowedNumber(nth);
  return timed(command, {
    ...env,
    USERNAME: userOf(number),
    ID: `${number + 1}`,
    IP_REAL: addressOf(number),
  });
}
