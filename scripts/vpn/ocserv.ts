import { setTimeout as delay } from 'node:timers/promises';
import type { Lines } from './lines.ts';
import { inside, type Network } from './network.ts';
import { type Finished, run, TOOL_PATH } from './run.ts';
import { type Exit, type Running, start } from './running.ts';
import type { ServerFiles, ServerOptions } from './server-config.ts';

export type Ocserv = {
  readonly pid: number;
  readonly running: boolean;
  /** What ocserv and its scripts print. */
  readonly log: Lines;
  /** occtl against this server, inside its namespace: elsewhere it cannot see the sessions' traffic. */
  occtl(...args: string[]): Promise<Finished>;
  reload(): void;
  /** SIGTERM, and resolves when ocserv is gone. With many clients still up it takes 5 s and kills its scripts. */
  stop(): Promise<Exit>;
  /** SIGKILL to the main process, as the kernel's out-of-memory killer would: no disconnect-script runs. */
  kill(): Promise<Exit>;
};

/** Starts an ocserv whose files are already written, and resolves when it answers occtl. */
export async function startOcserv(
  network: Network,
  files: ServerFiles,
  { environment = {}, path = [] }: Pick<ServerOptions, 'environment' | 'path'> = {},
): Promise<Ocserv> {
  const argv = inside(network.server, ['ocserv', '--foreground', '--config', files.config]);
  const ocserv = await start(argv, {
    cwd: files.folder,
    env: { ...environment, PATH: [...path, TOOL_PATH].join(':') },
  });
  const occtl = (...args: string[]) =>
    run(inside(network.server, ['occtl', '-s', files.occtlSocket, ...args]));
  await untilReady(ocserv, occtl);
  return {
    pid: ocserv.pid,
    get running() {
      return ocserv.running;
    },
    log: ocserv.log,
    occtl,
    reload: () => ocserv.signal('SIGHUP'),
    stop: () => ocserv.end('SIGTERM'),
    kill: () => ocserv.end('SIGKILL'),
  };
}

/** ocserv prints nothing that tells its sockets are open, so this asks until it answers. */
async function untilReady(ocserv: Running, occtl: Ocserv['occtl']): Promise<void> {
  const deadline = performance.now() + 15_000;
  while ((await occtl('show', 'status')).status !== 0) {
    const late = performance.now() > deadline;
    if (late || !ocserv.running) {
      ocserv.signal('SIGKILL');
      throw new Error(`ocserv ${late ? 'does not answer occtl' : 'did not start'}:\n${ocserv.log.tail}`);
    }
    await delay(20);
  }
}
