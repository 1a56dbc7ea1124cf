import { join } from 'node:path';
import { launcherFlags } from '../launcher-flags.ts';
import type { Bench, Found } from './bench.ts';
import { type Installation, install } from './installation.ts';
import { EVENTS } from './outbox-size.ts';
import { median, ratiosTo } from './statistics.ts';
import type { Table } from './table.ts';
import { timed } from './timed.ts';

const BOOT = join(import.meta.dirname, '..', '..', 'dist', 'boot.cjs');

/** One way to deliver an outbox. */
interface Delivery {
  readonly name: string;
  /** Events per second, by round, as the portal saw them come. */
  readonly rates: readonly number[];
  readonly connections: readonly number[];
}

/**
 * Delivers the same outbox by a drain, and by a bare loop over grpc-js, in turn. The first round warms the portal up and does
 * not count.
 */
export async function measureDrainRate(bench: Bench): Promise<Found> {
  // A delivery takes as long as a hundred hooks.
  const rounds = Math.max(3, Math.round(bench.rounds / 8));
  return { tables: [tableOf(await deliveries(bench, rounds))] };
}

async function deliveries({ folder, certificates, portal }: Bench, rounds: number): Promise<Delivery[]> {
  const fill = async (name: string): Promise<Installation> => {
    const installation = install(join(folder, name), certificates);
    installation.configure({ portal: portal.address, events: true });
    await run([join(import.meta.dirname, 'fill-outbox.ts')], installation);
    return installation;
  };
  const bare = { name: 'bare grpc-js loop', rates: [] as number[], connections: [] as number[] };
  const drain = { name: 'drain', rates: [] as number[], connections: [] as number[] };
  // The loop leaves the outbox as it was.
  const kept = await fill('bare');
  for (let round = 0; round <= rounds; round++) {
    const filled = await fill(`drain-${round}`);
    const turns = [
      { way: bare, deliver: () => run([join(import.meta.dirname, 'bare-loop.ts')], kept) },
      { way: drain, deliver: () => run([BOOT, 'drain'], filled) },
    ];
    // The order changes: whoever comes second finds the portal busier with its garbage.
    for (const { way, deliver } of round % 2 === 0 ? turns : turns.toReversed()) {
      await portal.tally();
      await deliver();
      const { taken, span, connections } = await portal.tally();
      if (taken !== EVENTS) throw new Error(`${way.name}: the portal took ${taken} events of ${EVENTS}`);
      if (round === 0) continue;
      way.rates.push((1_000 * (EVENTS - 1)) / span);
      way.connections.push(connections);
    }
    const { n } = filled.query<{ n: number }>('SELECT count(*) AS n FROM event');
    if (n !== 0) throw new Error(`the drain left ${n} events`);
  }
  return [bare, drain];
}

function tableOf(deliveries: readonly Delivery[]): Table {
  const base = deliveries[0]?.rates ?? [];
  return {
    title: "A drain's rate",
    columns: [`${EVENTS} events`, 'events/s', '× bare', 'from', 'to', 'connections'],
    rows: deliveries.map(({ name, rates, connections }) => {
      const ratios = ratiosTo(base, rates);
      return [
        name,
        median(rates).toFixed(0),
        ...[median(ratios), Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2)),
        [...new Set(connections)].join(', '),
      ];
    }),
  };
}

/** As the launcher does. */
async function run(args: readonly string[], { environment }: Installation): Promise<void> {
  await timed(
    [process.execPath, ...launcherFlags(), ...args],
    { ...environment, SSL_CERT_FILE: '/dev/null', SSL_CERT_DIR: '/dev/null' },
    'inherit',
  );
}
