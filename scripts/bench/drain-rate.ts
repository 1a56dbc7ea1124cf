import { join } from 'node:path';
import type { CertificateFiles } from '../portal/certificates.ts';
import { type Installation, install } from './installation.ts';
import { median, ratiosTo, timed } from './measure.ts';
import { EVENTS } from './outbox-size.ts';
import type { BenchPortal } from './portal.ts';

const BOOT = join(import.meta.dirname, '..', '..', 'dist', 'boot.cjs');

/** One way to deliver an outbox. */
export interface Delivery {
  readonly name: string;
  /** Events per second, by round, as the portal saw them come. */
  readonly rates: readonly number[];
  readonly connections: readonly number[];
}

/**
 * Delivers the same outbox by a drain, and by a bare loop over grpc-js, in turn. The first round warms the portal up and does
 * not count.
 */
export async function measureDeliveries(
  folder: string,
  certificates: CertificateFiles,
  portal: BenchPortal,
  rounds: number,
): Promise<Delivery[]> {
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

export function printDeliveries(deliveries: readonly Delivery[]): void {
  const base = deliveries[0]?.rates ?? [];
  const line = (name: string, ...cells: string[]): void =>
    console.log(`${name.padEnd(20)}${cells.map((cell) => cell.padStart(14)).join('')}`);
  line(`${EVENTS} events`, 'events/s', '× bare', 'from', 'to', 'connections');
  for (const { name, rates, connections } of deliveries) {
    const ratios = ratiosTo(base, rates);
    line(
      name,
      median(rates).toFixed(0),
      ...[median(ratios), Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2)),
      [...new Set(connections)].join(', '),
    );
  }
}

/** Under the launcher's flags. */
function run(args: readonly string[], { configFile }: Installation): Promise<number> {
  return timed(
    [process.execPath, '--no-rehash-snapshot', '--no-warnings', ...args],
    { OCAGENT_CONFIG: configFile },
    'inherit',
  );
}
