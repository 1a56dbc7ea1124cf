import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { HOOK, type Installation, install } from '../stage/installation.ts';
import { type PortalProcess, startPortalProcess } from '../stage/portal-process.ts';
import { toolEnvironment } from '../vpn/run.ts';
import { createWorkFolder } from '../vpn/work-folder.ts';
import { type Fault, findFaults, type Heard, type Recorded } from './judge.ts';

export interface CampaignOptions {
  /** Sessions in all: each connects, and most disconnect. */
  readonly rounds: number;
  /** Hooks at once. */
  readonly width: number;
  /** From 0 to 1; the same numbers give the same decisions, though not the same moments. */
  readonly random: () => number;
  readonly say: (text: string) => void;
}

export interface CampaignReport {
  readonly recorded: number;
  readonly delivered: number;
  readonly repeats: number;
  readonly killed: { hooks: number; drains: number; portals: number };
  readonly faults: readonly Fault[];
}

const CONFIG = `
[resilience.circuit_breaker]
timeout = "1s"
failure_threshold = 5
[resilience]
fail_mode = "open"
[events]
retry_initial = "100ms"
retry_max = "1s"
`;
/** How long a hook may live before it is killed, where it is. */
const LONGEST_LIFE_MS = 100;

/**
 * Hundreds of connects and disconnects while hooks, drains and the portal are killed (SIGKILL) at random moments. Then the portal
 * is let run, and what it has heard must be what was recorded.
 */
export async function campaign(options: CampaignOptions): Promise<CampaignReport> {
  const folder = await createWorkFolder();
  const stage = new Stage(await install(folder.path), folder.path);
  try {
    await stage.begin();
    return await play(stage, options);
  } finally {
    await stage.end();
    await folder.remove();
  }
}

async function play(stage: Stage, { rounds, width, random, say }: CampaignOptions): Promise<CampaignReport> {
  const killed = { hooks: 0, drains: 0, portals: 0 };
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < rounds) {
      const round = next++;
      if (round % 50 === 0) say(`${round} of ${rounds} sessions`);
      const session = sessionOf(round);
      killed.hooks += await stage.hook({ ...session, REASON: 'connect' }, random);
      if (random() < 0.1) continue;
      const stats = {
        STATS_BYTES_IN: `${2n ** 60n + BigInt(round)}`,
        STATS_BYTES_OUT: `${round}`,
        STATS_DURATION: '1',
      };
      killed.hooks += await stage.hook({ ...session, ...stats, REASON: 'disconnect' }, random);
    }
  };
  const work = Promise.all(Array.from({ length: width }, worker));
  const over = { yet: false };
  const killers = [
    sometimes(over, random, 100, async () => {
      killed.drains += stage.killDrain();
    }),
    sometimes(over, random, 700, async () => {
      killed.portals += 1;
      await stage.killPortal(random() * 400);
    }),
  ];
  await work;
  over.yet = true;
  await Promise.all(killers);

  say('the portal is let run');
  await stage.deliverAll();
  const recorded = stage.recorded();
  const heard = stage.heard();
  return {
    recorded: recorded.length,
    delivered: new Set(heard.map(({ eventId }) => eventId)).size,
    repeats: heard.length - new Set(heard.map(({ eventId }) => eventId)).size,
    killed,
    faults: findFaults(recorded, heard),
  };
}

/** Until it is over, with pauses of about so many milliseconds. */
async function sometimes(
  over: { readonly yet: boolean },
  random: () => number,
  pause: number,
  act: () => Promise<void>,
): Promise<void> {
  while (!over.yet) {
    await delay(pause * (0.5 + random()));
    if (!over.yet) await act();
  }
}

function sessionOf(round: number): Record<string, string> {
  return {
    ID: String(10_000 + round),
    USERNAME: `user${round}`,
    GROUPNAME: 'staff',
    DEVICE: 'soak0',
    IP_REAL: '198.51.100.7',
    IP_REMOTE: '10.200.0.9',
  };
}

/** The program as it is installed, and the portal that comes and goes. */
class Stage {
  readonly #installation: Installation;
  readonly #folder: string;
  readonly #heard: Heard[] = [];
  readonly #stderr: number;
  #portal: PortalProcess | undefined;
  #address = '';

  constructor(installation: Installation, folder: string) {
    this.#installation = installation;
    this.#folder = folder;
    this.#stderr = openSync(join(folder, 'stderr'), 'a');
  }

  async begin(): Promise<void> {
    await this.#startPortal();
    this.#installation.configure({ portal: this.#address, config: CONFIG });
    // What is killed before a first hook has made the state is not what is tried here.
    await this.#installation.command('breaker', 'reset');
  }

  async #startPortal(): Promise<void> {
    this.#portal = await startPortalProcess({
      folder: this.#folder,
      certificates: this.#installation.certificates.directory,
      policy: { default: { allowed: true } },
      ...(this.#address === '' ? {} : { listen: this.#address }),
    });
    this.#address = this.#portal.address;
  }

  /** @returns 1 when it was killed before its end. */
  async hook(environment: Record<string, string>, random: () => number): Promise<number> {
    const hook = spawn(HOOK, [], {
      detached: true,
      env: { ...toolEnvironment(), ...this.#installation.environment, ...environment },
      stdio: ['ignore', 'ignore', this.#stderr],
    });
    const ended = once(hook, 'exit');
    if (random() < 0.5) {
      await ended;
      return 0;
    }
    await Promise.race([ended, delay(random() * LONGEST_LIFE_MS)]);
    const killed = random() < 0.5 ? killAll(hook) : killChild(hook);
    await ended;
    return killed ? 1 : 0;
  }

  /** @returns 1 when there was one. */
  killDrain(): number {
    const [drain] = this.#installation.query<{ pid: number }>(`SELECT pid FROM drain WHERE lease = 'held'`);
    return drain !== undefined && kill(drain.pid) ? 1 : 0;
  }

  async killPortal(away: number): Promise<void> {
    await this.#portal?.kill();
    this.#listen();
    await delay(away);
    await this.#startPortal();
  }

  /** What the portal that is going has heard and taken: it says so before it answers. */
  #listen(): void {
    for (const call of this.#portal?.calls() ?? []) {
      const request = call['request'] as Record<string, unknown>;
      const answer = call['answer'] as { status: string };
      if (call['rpc'] === 'CheckPolicy' || answer.status !== 'OK') continue;
      this.#heard.push({
        rpc: String(call['rpc']),
        eventId: String(call['x-event-id']),
        sessionId: String(call['session_id']),
        bytesIn: String((request['stats'] as Record<string, string> | undefined)?.['bytesReceived'] ?? ''),
      });
    }
    this.#portal?.forget();
  }

  async deliverAll(): Promise<void> {
    for (let tries = 0; tries < 20; tries++) {
      const { status } = await this.#installation.command('events', 'flush');
      if (status === 0) return;
    }
    throw new Error(
      `events are left although the portal is up:\n${readFileSync(join(this.#folder, 'stderr'), 'utf8').slice(-5_000)}`,
    );
  }

  recorded(): Recorded[] {
    return this.#installation.query<Recorded>(
      `SELECT session_id AS sessionId, source, end_event_id AS endEventId, bytes_in AS bytesIn,
         ended_wall IS NOT NULL AS ended FROM session`,
    );
  }

  heard(): readonly Heard[] {
    this.#listen();
    return this.#heard;
  }

  async end(): Promise<void> {
    try {
      this.killDrain();
    } catch {
      // No state, no drain.
    }
    await this.#portal?.stop();
    closeSync(this.#stderr);
  }
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** The launcher and all that is in its process group: power is cut. */
function killAll(hook: ChildProcess): boolean {
  return hook.exitCode === null && hook.signalCode === null && kill(-(hook.pid ?? 0));
}

/** Only the process that the launcher waits for: a disconnect is then done again. */
function killChild(hook: ChildProcess): boolean {
  try {
    const children = readFileSync(`/proc/${hook.pid}/task/${hook.pid}/children`, 'latin1');
    const [child] = children.split(' ').filter(Boolean);
    return child !== undefined && kill(Number(child));
  } catch {
    return false;
  }
}
