import { HOOK, install } from '../stage/installation.ts';
import { startPortalProcess } from '../stage/portal-process.ts';
import { atExit } from '../vpn/at-exit.ts';
import { toolEnvironment } from '../vpn/run.ts';
import { start } from '../vpn/running.ts';
import { createWorkFolder } from '../vpn/work-folder.ts';
import { CONFIG, POLICY, type Stage, USERS, type UserOfDemo } from './stage.ts';

/** No VPN: the hook is called as ocserv calls it, with ocserv's environment and no arguments. */
export async function directStage(): Promise<Stage> {
  const folder = await createWorkFolder();
  const closing: (() => Promise<void>)[] = [folder.remove];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const installation = await install(folder.path);
    const portal = await startPortalProcess({
      folder: folder.path,
      certificates: installation.certificates.directory,
      policy: POLICY,
    });
    closing.push(portal.stop);
    installation.configure({ portal: portal.address, config: CONFIG });

    const here = new Map<string, Readonly<Record<string, string>>>();
    // Of ocserv's workers these are the process ids.
    let id = 4_710;
    const call = (environment: Readonly<Record<string, string>>) =>
      callHook({ ...installation.environment, ...environment });
    return {
      installation,
      portal,
      description: [
        ['portal', `scripts/portal/main.ts on ${portal.address}, over mutual TLS`],
        ['ocserv', `none: this calls ${HOOK} with the environment that ocserv gives it`],
      ],
      async connect(user) {
        id += 1;
        const session = sessionOf(user, id);
        const status = await call({ REASON: 'connect', ...session });
        if (status !== 0) return { connected: false, said: `refused: the hook ended with ${status}` };
        here.set(user, session);
        return { connected: true, said: `connected as ${session['IP_REMOTE']}` };
      },
      async leave(user) {
        const session = here.get(user);
        if (session === undefined) return;
        here.delete(user);
        const stats = { STATS_BYTES_IN: '20480', STATS_BYTES_OUT: '81920', STATS_DURATION: '1' };
        await call({ REASON: 'disconnect', ...session, ...stats });
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** As ocserv's script of a session says it. */
function sessionOf(user: UserOfDemo, id: number): Record<string, string> {
  const place = USERS.indexOf(user);
  return {
    ID: String(id),
    USERNAME: user,
    GROUPNAME: '',
    VHOST: 'default',
    DEVICE: `vpns${place}`,
    IP_REAL: '198.51.100.7',
    IP_REAL_LOCAL: '192.0.2.1',
    IP_LOCAL: '10.200.0.1',
    IP_REMOTE: `10.200.0.${10 + place}`,
    HOSTNAME: 'laptop',
    REMOTE_HOSTNAME: 'laptop',
    USER_AGENT: 'Open AnyConnect VPN Agent v9.01-3',
    DEVICE_TYPE: '',
    DEVICE_PLATFORM: '',
  };
}

async function callHook(environment: NodeJS.ProcessEnv): Promise<number | null> {
  const hook = await start([HOOK], { env: { ...toolEnvironment(), ...environment } });
  const callOff = atExit(() => hook.signal('SIGKILL'));
  const { status } = await hook.exited;
  callOff();
  return status;
}
