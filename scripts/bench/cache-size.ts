import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bench, Found } from './bench.ts';
import { cacheSizeFigures } from './cache-size-figures.ts';
import type { CacheSteps } from './cache-steps.ts';
import { fillCache } from './fill.ts';
import { HOOK } from './hooks.ts';
import { type Installation, install } from './installation.ts';
import { interleave, type Row } from './measure.ts';
import { addressOf, GROUP, isDenied, userOf } from './population.ts';
import { type Cost, output, timed } from './timed.ts';

/** The first twice: how much the same differs from itself. */
const SIZES: readonly (readonly [string, number])[] = [
  ['10', 10],
  ['10 again', 10],
  ['10,000', 10_000],
  ['1,000,000', 1_000_000],
];
/** A prime, so that every size is walked without an order. */
const STRIDE = 7_654_321;

/** One size of the cache, full. */
interface Size {
  readonly name: string;
  readonly size: number;
  /** Its entries stay. */
  readonly kept: Installation;
  /** Here new ones come, and others go for them. */
  readonly evicting: Installation;
}

/** Whether a connect costs more the more decisions are kept. Without events, which would only add to the noise. */
export async function measureCacheSize({ folder, certificates, portal, rounds }: Bench): Promise<Found> {
  const sizes: Size[] = [];
  for (const [name, size] of SIZES) {
    const place = (kind: string): Installation => {
      const installation = install(join(folder, `${kind}-${name}`), certificates);
      installation.configure({ portal: portal.address, events: false, maxSize: size });
      return installation;
    };
    const kept = place('kept');
    const evicting = place('evicting');
    await fillCache(kept, size);
    copyFileSync(kept.state, evicting.state);
    sizes.push({ name, size, kept, evicting });
  }
  const cached = sizes.map(
    ({ name, size, kept }): Row => ({ name, run: (round) => known(kept, size, round) }),
  );
  const inserted = sizes.map(
    ({ name, evicting }): Row => ({ name, run: (round) => unknown(evicting, round) }),
  );
  const measured = await interleave([...cached, ...inserted], rounds);
  for (const { name, size, evicting } of sizes) {
    const { value } = evicting.query<{ value: number }>('SELECT value FROM decision_size');
    if (value !== size) throw new Error(`${name}: ${value} decisions in a cache of ${size}`);
  }
  const steps = new Map<string, CacheSteps>();
  for (const { name, size, kept } of sizes) {
    const script = join(import.meta.dirname, 'cache-steps.ts');
    const said = await output([process.execPath, '--no-warnings', script, `${size}`], kept.environment);
    steps.set(name, JSON.parse(said) as CacheSteps);
  }
  return cacheSizeFigures(measured.slice(0, sizes.length), measured.slice(sizes.length), steps);
}

/** Of somebody who is in the cache, and is let in. */
function known(installation: Installation, size: number, round: number): Promise<Cost> {
  const number = (round * STRIDE) % size;
  return connect(installation, isDenied(number) ? number - 1 : number, round);
}

/** Of a new user, whose name comes anywhere among the others. */
function unknown(installation: Installation, round: number): Promise<Cost> {
  return connect(installation, 1_000_000 + ((round * STRIDE) % 9_000_000), round);
}

function connect({ environment }: Installation, number: number, round: number): Promise<Cost> {
  return timed([HOOK], {
    ...environment,
    REASON: 'connect',
    USERNAME: userOf(number),
    GROUPNAME: GROUP,
    ID: `${round + 1}`,
    IP_REAL: addressOf(number),
  });
}
