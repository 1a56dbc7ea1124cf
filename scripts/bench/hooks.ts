import { join } from 'node:path';
import type { CertificateFiles } from '../portal/certificates.ts';
import { type Installation, install } from './installation.ts';
import { type Row, timed } from './measure.ts';

const HOOK = join(import.meta.dirname, '..', '..', 'bin', 'ocagent-hook');
/** Nobody listens there: a connection is refused at once. */
const AWAY = '127.0.0.1:1';

export interface HookBench {
  readonly rows: readonly Row[];
  /** What has become of the events, once the rows were measured. @throws when a row did not do what its name says. */
  aftermath(): string[];
}

/** Each kind has an installation of its own, so that the events of one do not wake the drain of another. */
export async function hookBench(
  folder: string,
  certificates: CertificateFiles,
  portal: string,
): Promise<HookBench> {
  const steady = install(join(folder, 'steady'), certificates);
  const off = install(join(folder, 'off'), certificates);
  const away = install(join(folder, 'away'), certificates);
  steady.configure({ portal, events: true });
  off.configure({ portal, events: false });
  // The decision that its connects are answered from is cached while the portal is there, and before there are any events.
  away.configure({ portal, events: false });
  await connect(away, 99_998);
  away.configure({ portal: AWAY, events: true });

  const rows = [
    { name: 'cached connect', goal: 1.5, run: (round: number) => connect(steady, round) },
    { name: 'portal connect', goal: 3.5, run: (round: number) => portalConnect(steady, round) },
    { name: 'disconnect', run: (round: number) => disconnect(steady, round) },
    { name: 'cached connect, events off', run: (round: number) => connect(off, round) },
    { name: 'disconnect, events off', run: (round: number) => disconnect(off, round) },
    { name: 'cached connect, portal away', run: (round: number) => connect(away, round) },
    { name: 'disconnect, portal away', run: (round: number) => disconnect(away, round) },
  ];
  return {
    rows,
    aftermath: () => [told('steady traffic', steady), told('events off', off), told('portal away', away)],
  };
}

interface Found {
  readonly otherwise: number;
  readonly drains: number;
  readonly waiting: number;
}

export function told(kind: string, installation: Installation): string {
  const { otherwise, drains, waiting } = installation.query<Found>(
    `SELECT (SELECT count(*) FROM session WHERE ended_wall IS NOT NULL AND source <> 'cache') AS otherwise,
       (SELECT term FROM drain) AS drains, (SELECT count(*) FROM event) AS waiting`,
  );
  // The first of all is what the others are cached from.
  if (otherwise > 1) throw new Error(`${kind}: ${otherwise} connects were not answered from the cache`);
  return `${kind}: ${drains} ${drains === 1 ? 'drain' : 'drains'}, ${waiting} events still waiting`;
}

function hook({ configFile }: Installation, env: Readonly<Record<string, string>>): Promise<number> {
  return timed([HOOK], { OCAGENT_CONFIG: configFile, USERNAME: 'alice', GROUPNAME: 'staff', ...env });
}

export function connect(installation: Installation, round: number): Promise<number> {
  return hook(installation, { REASON: 'connect', ID: `${round + 1}`, IP_REAL: '198.51.100.7' });
}

/** From an address that is not cached. */
function portalConnect(installation: Installation, round: number): Promise<number> {
  const address = `198.18.${round >> 8}.${round & 255}`;
  return hook(installation, { REASON: 'connect', ID: `${round + 30_000}`, IP_REAL: address });
}

/** Of the session that the connect of this round has begun. */
function disconnect(installation: Installation, round: number): Promise<number> {
  return hook(installation, {
    REASON: 'disconnect',
    ID: `${round + 1}`,
    STATS_BYTES_IN: '1',
    STATS_BYTES_OUT: '2',
    STATS_DURATION: '1',
  });
}
