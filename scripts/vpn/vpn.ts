import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, createAuthority, pinOf, type Subject } from './certificates.ts';
import {
  type ClientOptions,
  type Connected,
  type Dialling,
  dial,
  type Login,
  type Refused,
} from './client.ts';
import { createNetwork, type Network } from './network.ts';
import { type Ocserv, startOcserv } from './ocserv.ts';
import { passwordFile, type User, type UserName } from './passwords.ts';
import { type ServerOptions, serverConfig, serverFiles } from './server-config.ts';
import { createWorkFolder } from './work-folder.ts';

export type VpnOptions = ServerOptions & {
  /** Who may log in by password. Without it users log in by certificate: CN is the user, OU the group. */
  users?: readonly User[];
  /** Where the server's files go; it must exist and stays. By default a new folder that goes with the VPN. */
  folder?: string;
};

/** A real ocserv in a network of its own, and the means to be its clients. */
export type Vpn = {
  readonly network: Network;
  readonly folder: string;
  /** The server that runs now, or ran last. */
  readonly ocserv: Ocserv;
  /** A client's certificate and key, as files. */
  credential(subject: Subject): Promise<{ certificate: string; key: string }>;
  /** Resolves when the client is connected or refused. A name alone logs in with its password. */
  connect(login: Login | UserName, options?: Partial<ClientOptions>): Promise<Connected | Refused>;
  /** Resolves when the client has started. */
  dial(login: Login | UserName, options?: Partial<ClientOptions>): Promise<Dialling>;
  /** Starts ocserv again on the same files after it was stopped or killed. */
  restart(): Promise<void>;
  /** Lets the clients leave, then stops ocserv in order, so that every disconnect-script ran. */
  stop(): Promise<void>;
  /** Kills what still runs and removes all of it. */
  close(): Promise<void>;
};

export async function startVpn(options: VpnOptions): Promise<Vpn> {
  const own = options.folder === undefined ? await createWorkFolder() : undefined;
  const network = await createNetwork();
  const close = async () => {
    await network.close();
    await own?.remove();
  };
  try {
    return await assemble(network, own?.path ?? options.folder ?? '', options, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  network: Network,
  folder: string,
  options: VpnOptions,
  close: () => Promise<void>,
): Promise<Vpn> {
  const files = serverFiles(folder);
  const authority = await createAuthority();
  const identity = await authority.issue({ commonName: 'vpn.example.net' });
  const method = options.users === undefined ? 'certificate' : 'password';
  // The workers, which run as nobody, must get through it to their socket.
  await chmod(folder, 0o711);
  await writeFile(files.authority, authority.certificate);
  await writeFile(files.certificate, identity.certificate);
  await writeFile(files.key, identity.key, { mode: 0o600 });
  await writeFile(files.passwords, await passwordFile(options.users ?? []), { mode: 0o600 });
  await writeFile(files.config, serverConfig(files, network, method, options));

  const pin = pinOf(identity.certificate);
  const clients: Dialling[] = [];
  const call = async (login: Login | UserName, more: Partial<ClientOptions> = {}) => {
    const client = await dial(
      network,
      typeof login === 'string' || login instanceof Uint8Array ? { user: login } : login,
      { pin, ...more },
    );
    clients.push(client);
    return client;
  };
  let ocserv = await startOcserv(network, files, options);
  let credentials = 0;
  return {
    network,
    folder,
    get ocserv() {
      return ocserv;
    },
    credential: (subject) => writeCredential(authority, subject, join(folder, `client-${++credentials}`)),
    dial: call,
    connect: async (login, more) => await (await call(login, more)).outcome(),
    async restart() {
      ocserv = await startOcserv(network, files, options);
    },
    async stop() {
      await Promise.all(clients.map((client) => client.leave()));
      await ocserv.stop();
    },
    close,
  };
}

async function writeCredential(authority: Authority, subject: Subject, folder: string) {
  const { certificate, key } = await authority.issue(subject);
  await mkdir(folder);
  const files = { certificate: join(folder, 'user.crt'), key: join(folder, 'user.key') };
  await writeFile(files.certificate, certificate);
  await writeFile(files.key, key, { mode: 0o600 });
  return files;
}
