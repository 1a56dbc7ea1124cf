import type { Bench, Found } from './bench.ts';
import { type HookStorm, hookStorm } from './hook-storm.ts';
import { type OtherStorm, peerStorm } from './peer-storm.ts';
import { Probes } from './probes.ts';
import type { Storm } from './storm.ts';
import { stormGoals } from './storm-goals.ts';
import { stormTable } from './storm-table.ts';

/**
 * Hundreds at once, as when a server that was away is back: empty scripts, hooks that the cache answers and hooks that the portal
 * does, in turn; once, too, the hooks without events, and what else could ask the portal.
 */
export async function measureStorms(bench: Bench): Promise<Found> {
  // Each takes as long as hundreds of hooks. Two that are close need more than two that are not.
  const rounds = Math.max(2, Math.round(bench.rounds / 13));
  const pairs = 2 * rounds;
  const { ready, missing } = bench.peers();
  const remarks = [...missing];
  const storms = {
    empty: [] as Storm[],
    cached: [] as HookStorm[],
    portal: [] as HookStorm[],
    empty500: [] as Storm[],
    cached500: [] as HookStorm[],
    eventsOff: [] as HookStorm[],
    peers: [] as OtherStorm[],
  };
  const probes = new Probes(bench);
  // The portal stands for one that has been there for a while. In its first storm V8 is busy making its code fast.
  await hookStorm(bench, 'warming-up', { source: 'portal', count: 200, events: true });
  for (let round = 0; round < pairs; round++) {
    const hooks = (
      kind: string,
      count: number,
      source: 'cache' | 'portal',
      events = true,
    ): Promise<HookStorm> => hookStorm(bench, `${kind}-${round}`, { source, count, events });
    storms.empty.push(await probes.quiet(200));
    const pair = [
      async () => storms.cached.push(await hooks('cached', 200, 'cache')),
      async () => storms.portal.push(await hooks('portal', 200, 'portal')),
    ];
    // In turn, should the machine become slower or faster meanwhile.
    for (const one of round % 2 === 0 ? pair : pair.toReversed()) await one();
    if (round >= rounds) continue;
    storms.empty500.push(await probes.quiet(500));
    storms.cached500.push(await hooks('cached500', 500, 'cache'));
    if (round > 0) continue;
    storms.eventsOff.push(await hooks('events-off', 200, 'portal', false));
    for (const peer of ready) {
      const stormed = await peerStorm(bench, peer, 200);
      if (stormed === null) remarks.push(`${peer.name}: no storm, too little memory is free`);
      else storms.peers.push(stormed);
    }
  }
  for (const one of [...storms.cached, ...storms.portal, ...storms.cached500])
    remarks.push(...remarksOn(one));
  return { tables: [stormTable(storms, remarks)], goals: stormGoals(storms) };
}

/** What should not be, and no column tells. */
function remarksOn({ name, verdict, undelivered, drainError }: HookStorm): string[] {
  return [
    ...(verdict.unrecorded > 0 ? [`${name}: ${verdict.unrecorded} decisions could not be recorded`] : []),
    ...(undelivered > 0
      ? [
          `${name}: ${undelivered} events were not delivered 20 s later; the drain: ${drainError ?? 'no error'}`,
        ]
      : []),
  ];
}
