import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach } from 'node:test';
import type { PolicyInput } from '../../scripts/portal/policy.ts';
import type { HookLog, LogLine } from '../../scripts/stage/hook-log.ts';
import { HOOK, type Installation, install } from '../../scripts/stage/installation.ts';
import { type PortalProcess, startPortalProcess } from '../../scripts/stage/portal-process.ts';
import type { ClientOptions, Connected, Dialling, Login, Refused } from '../../scripts/vpn/client.ts';
import { inside, processesIn } from '../../scripts/vpn/network.ts';
import type { UserName } from '../../scripts/vpn/passwords.ts';
import type { Finished } from '../../scripts/vpn/run.ts';
import { startVpn, type Vpn, type VpnOptions } from '../../scripts/vpn/vpn.ts';
import { createWorkFolder, type WorkFolder } from '../../scripts/vpn/work-folder.ts';
import { type RecordingHook, recordingHook } from './recording-hook.ts';
import { noVpn } from './require-vpn.ts';

/** For every test with a real hook. */
export const limits = { skip: noVpn, timeout: 60_000 } as const;

/** A session as the program has it on record. */
export interface SessionRow {
  session_id: string;
  ocserv_id: string;
  username: string;
  groupname: string;
  client_ip: string;
  vpn_ip: string;
  device: string;
  source: string;
  updated_wall: number | null;
  ended_wall: number | null;
  bytes_in: string | null;
  bytes_out: string | null;
  duration_seconds: string | null;
}

/** A real ocserv whose scripts are bin/ocagent-hook, and the portal beside it, in the same namespace. */
export interface RealHook {
  readonly vpn: Vpn;
  readonly portal: PortalProcess;
  /** The hook's log, as of the last `configure`. */
  readonly log: HookLog;
  /** What ocserv said to each hook; with `body` only. */
  readonly recording: RecordingHook;
  readonly command: Installation['command'];
  /** As cron on the VPN server runs it: where the portal can be reached, and the tunnels are. */
  commandOnServer(...args: string[]): Promise<Finished>;
  /** From now on the hook goes by this TOML, with a state and a log that begin empty, as they do for each test. */
  configure(config: string): void;
  sessions(): SessionRow[];
  readonly query: Installation['query'];
  readonly change: Installation['change'];
  dial(login: Login | UserName, options?: Partial<ClientOptions>): Promise<Dialling>;
  connect(login: Login | UserName, options?: Partial<ClientOptions>): Promise<Connected | Refused>;
  /** The line of the one decision about that user. */
  decision(username: string): Promise<LogLine>;
  /** Stops ocserv in order and waits until the last of its scripts is gone; starts it again for the next test. */
  settle(): Promise<void>;
}

export type RealHookOptions = Omit<VpnOptions, 'scripts' | 'folder' | 'environment'> & {
  /** At the start of each test. */
  policy: PolicyInput;
  /** Puts a recording script before the hook that does this at last, `exec "$hook"` for example. */
  body?: string;
};

/** To be called inside a `describe`, whose tests share one ocserv. The members are there once a test runs. */
export function withRealHook({ policy, body, ...options }: RealHookOptions): RealHook {
  let folder: WorkFolder | undefined;
  let installation: Installation | undefined;
  let vpn: Vpn | undefined;
  let portal: PortalProcess | undefined;
  let recording: RecordingHook | undefined;
  let clients: Dialling[] = [];
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('this is there only while a test runs');
    return value;
  };
  const configure = (config: string) =>
    there(installation).configure({ portal: there(portal).address, config });

  before(async () => {
    if (noVpn !== false) return;
    folder = await createWorkFolder();
    const home = join(folder.path, 'agent');
    await mkdir(home, { mode: 0o700 });
    installation = await install(home);
    if (body !== undefined) recording = await recordingHook(folder.path, `hook='${HOOK}'\n${body}`);
    const script = recording?.script ?? HOOK;
    vpn = await startVpn({
      ...options,
      folder: folder.path,
      scripts: { connect: script, disconnect: script, hostUpdate: script },
      environment: installation.environment,
    });
    const { server } = vpn.network;
    portal = await startPortalProcess({
      folder: home,
      certificates: installation.certificates.directory,
      policy,
      inside: (argv) => inside(server, argv),
    });
  });
  beforeEach(async () => {
    if (noVpn !== false) return;
    await there(portal).setPolicy(policy);
    there(portal).forget();
    configure('');
  });
  afterEach(async () => {
    if (noVpn !== false) return;
    await Promise.all(clients.map((client) => client.leave()));
    clients = [];
    // Their disconnects belong to this test's state and log.
    await everyoneGone(there(installation).log);
  });
  after(async () => {
    // With the namespace goes the portal, too.
    await vpn?.close();
    await portal?.stop();
    await folder?.remove();
  });

  const dial: RealHook['dial'] = async (login, more) => {
    const client = await there(vpn).dial(login, more);
    clients.push(client);
    return client;
  };
  return {
    get vpn() {
      return there(vpn);
    },
    get portal() {
      return there(portal);
    },
    get log() {
      return there(installation).log;
    },
    get recording() {
      return there(recording);
    },
    command: (...args) => there(installation).command(...args),
    commandOnServer: (...args) =>
      there(installation).commandIn((argv) => inside(there(vpn).network.server, argv), ...args),
    configure,
    sessions: () => there(installation).query<SessionRow>('SELECT * FROM session ORDER BY id'),
    query: (sql) => there(installation).query(sql),
    change: (sql) => there(installation).change(sql),
    dial,
    connect: async (login, more) => await (await dial(login, more)).outcome(),
    decision: (username) => there(installation).log.decision(username),
    async settle() {
      await there(vpn).stop();
      await scriptsEnded(there(vpn), there(portal));
      await there(vpn).restart();
    },
  };
}

/** What `sessions sync` says of a session whose end ocserv told nobody. */
const CLOSED_BY_SYNC = 'session closed: ocserv has it no longer, and told nobody';

/** Resolves when each session that the log saw begin has ended there, too. */
function everyoneGone(log: HookLog): Promise<true> {
  const live = () => {
    const ended = new Set(
      [...log.all({ msg: 'disconnect recorded' }), ...log.all({ msg: CLOSED_BY_SYNC })].map(
        (line) => line['session_id'],
      ),
    );
    return log.all({ msg: 'connect allowed' }).filter((line) => !ended.has(line['session_id']));
  };
  return log.until(
    () => live().length === 0 || undefined,
    () => `no disconnect of ${JSON.stringify(live().map((line) => line['session_id']))}`,
  );
}

async function scriptsEnded(vpn: Vpn, portal: PortalProcess): Promise<void> {
  const deadline = performance.now() + 15_000;
  // Nothing tells a stranger of a process's end.
  for (;;) {
    const left = (await processesIn(vpn.network.server)).filter((pid) => pid !== portal.pid);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`scripts of ocserv's still run: ${left}`);
  }
}
