import { join } from 'node:path';
import type { Bench, Found } from './bench.ts';
import { fillCache } from './fill.ts';
import { HOOK } from './hooks.ts';
import { type Installation, install } from './installation.ts';
import { interleave, type Row, ratioTable } from './measure.ts';
import { peerEnvironment } from './peers.ts';
import { addressOf, allowedNumber, GROUP, userOf } from './population.ts';
import { type Command, type Cost, timed } from './timed.ts';

/** Beyond the users that the cache is filled with. */
const NEW_USERS = 1_000;

/** One decision each, of the same portal over mutual TLS: by the hook, and by what else could be written instead of it. */
export async function measureSideBySide(bench: Bench): Promise<Found> {
  const { folder, certificates, portal, empty } = bench;
  const { ready, missing } = bench.peers();
  const installation = install(join(folder, 'hook'), certificates);
  installation.configure({ portal: portal.address, events: true });
  await fillCache(installation, NEW_USERS);
  const peer = (command: Command) => (round: number) => ask(command, peerEnvironment(bench), round);
  const rows: Row[] = [
    empty,
    { name: 'the hook, from its cache', run: (round) => hook(installation, round) },
    { name: 'the hook, portal', run: (round) => hook(installation, NEW_USERS + round) },
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

function hook({ configFile }: Installation, nth: number): Promise<Cost> {
  return ask([HOOK], { OCAGENT_CONFIG: configFile, REASON: 'connect', GROUPNAME: GROUP }, nth);
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
