import { fork } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { answer } from './answer.ts';
import type { Bench, Found } from './bench.ts';
import { cleanupFigures, type Walls } from './cleanup-figures.ts';
import { fillCache } from './fill.ts';
import { HOOK } from './hooks.ts';
import { type Installation, install } from './installation.ts';
import type { LockWaits } from './lock-waits.ts';
import { addressOf, GROUP, userOf } from './population.ts';
import { output, timed } from './timed.ts';

const EXPIRED = 1_000_000;
const DAY_MS = 24 * 3_600_000;
const STEPS_WITHOUT = 1_000;

/** A million expired decisions are removed while hooks run, and again while a process does nothing but take the lock. */
export async function measureCleanup({ folder, certificates, portal, rounds }: Bench): Promise<Found> {
  const place = (name: string): Installation => {
    const installation = install(join(folder, name), certificates);
    installation.configure({ portal: portal.address, events: true, maxSize: 2 * EXPIRED });
    return installation;
  };
  const hooked = place('hooked');
  const locked = place('locked');
  await fillCache(hooked, EXPIRED, DAY_MS);
  copyFileSync(hooked.state, locked.state);

  // The first decision of all is what the others are cached from.
  await connect(hooked, EXPIRED, EXPIRED);
  const without = await walls(hooked, EXPIRED, (done) => done < rounds);
  const cleaning = whileCleaning(hooked);
  const during = await walls(hooked, EXPIRED + rounds, () => !cleaning.isOver);
  await cleaning.end;

  const waitsWithout = await lockWaits(locked, STEPS_WITHOUT);
  const cleaningAgain = whileCleaning(locked);
  const waits = await lockWaits(locked, cleaningAgain.end);
  return cleanupFigures({ without, during, waitsWithout, waits });
}

/** A cached connect and one of a new user in turn, as long as `goesOn` after so many pairs. */
async function walls(
  installation: Installation,
  from: number,
  goesOn: (done: number) => boolean,
): Promise<Walls> {
  const cached: number[] = [];
  const portal: number[] = [];
  while (goesOn(portal.length)) {
    const next = from + portal.length + 1;
    cached.push(await connect(installation, EXPIRED, next));
    portal.push(await connect(installation, next, EXPIRED + next));
  }
  return { cached, portal };
}

/** @param id ocserv's, of a session that is no other's. */
async function connect({ environment }: Installation, number: number, id: number): Promise<number> {
  const { wall } = await timed([HOOK], {
    ...environment,
    REASON: 'connect',
    USERNAME: userOf(number),
    GROUPNAME: GROUP,
    ID: `${id}`,
    IP_REAL: addressOf(number),
  });
  return wall;
}

function whileCleaning({ environment }: Installation): {
  readonly isOver: boolean;
  readonly end: Promise<void>;
} {
  const cleaning = { isOver: false, end: Promise.resolve() };
  cleaning.end = output([HOOK, 'cache', 'cleanup', '--json'], environment)
    .then((said) => {
      const { removed } = JSON.parse(said) as { removed: number };
      if (removed !== EXPIRED) throw new Error(`the cleanup removed ${removed} decisions of ${EXPIRED}`);
    })
    .finally(() => {
      cleaning.isOver = true;
    });
  // Whoever awaits it hears of it; where something else fails first, nobody does.
  cleaning.end.catch(() => {});
  return cleaning;
}

/** @param until so many steps are done, or something else is over. */
async function lockWaits({ environment }: Installation, until: number | Promise<void>): Promise<LockWaits> {
  const child = fork(
    join(import.meta.dirname, 'lock-waits.ts'),
    typeof until === 'number' ? [`${until}`] : [],
    {
      env: { PATH: process.env['PATH'], ...environment },
      execArgv: ['--no-warnings'],
    },
  );
  const waits = answer<LockWaits>(child);
  if (typeof until !== 'number') {
    await Promise.race([until, waits]);
    child.send('end');
  }
  return waits;
}
