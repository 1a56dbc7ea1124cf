import { mkdirSync } from 'node:fs';
import { freemem } from 'node:os';
import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { type Peer, peerEnvironment } from './peers.ts';
import { isDenied } from './population.ts';
import { type Storm, storm } from './storm.ts';

/** A storm of something else than hooks. */
export interface OtherStorm extends Storm {
  readonly name: string;
  readonly handshakes: number;
  /** Whose exit status was not that of the portal's answer. */
  readonly wrong: number;
}

/** Bytes that must be free: one that loads all it can takes 25 MiB for each process. */
const ENOUGH = 10 * 2 ** 30;

/** @returns null where this machine has not the memory for it. */
export async function peerStorm(
  bench: Bench,
  { name, command }: Peer,
  count: number,
): Promise<OtherStorm | null> {
  if (freemem() < ENOUGH) return null;
  const place = join(bench.folder, name.replaceAll(/\W+/g, '-'));
  mkdirSync(place);
  await bench.portal.tally();
  // It goes by no configuration, but by this its processes are known.
  const env = { ...peerEnvironment(bench), OCAGENT_CONFIG: join(place, 'none') };
  const stormed = await storm(place, command, { count, first: 0, env });
  return {
    ...stormed,
    name,
    handshakes: (await bench.portal.tally()).handshakes,
    wrong: stormed.endings.filter(({ number, status }) => status !== (isDenied(number) ? 3 : 0)).length,
  };
}
