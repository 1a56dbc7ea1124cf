import type { Found, Lines } from './lines.ts';
import { inside, type Network } from './network.ts';
import { PASSWORD, type UserName } from './passwords.ts';
import { toolEnvironment } from './run.ts';
import { type Exit, type Running, start } from './running.ts';

/** Who logs in: a name with its password, or the files of a certificate and its key. */
export type Login =
  | { user: UserName; password?: string; group?: string }
  | { certificate: string; key: string };

export type ClientOptions = {
  /** The server's key as openconnect's --servercert takes it. */
  pin: string;
  /** Data over DTLS as well. */
  dtls?: boolean;
  /** The vpnc-script; without one the tunnel exists and nobody configures it. */
  script?: string;
  /** Milliseconds until connected or refused. */
  timeout?: number;
  extra?: readonly string[];
};

/** An openconnect that the server has not answered yet: its connect-script may be running. */
export type Dialling = {
  readonly pid: number;
  readonly log: Lines;
  outcome(): Promise<Connected | Refused>;
  /** Ends it in whatever state it is: SIGINT, which it may ignore until it is connected, then SIGKILL. */
  leave(): Promise<void>;
  kill(): Promise<Exit>;
};

export type Refused = {
  readonly connected: false;
  /** What openconnect said of the refusal, e.g. "HTTP/1.1 401 Cookie is not acceptable". */
  readonly reason: string;
  readonly output: string;
};

export type Connected = {
  readonly connected: true;
  readonly pid: number;
  readonly vpnIp: string;
  readonly log: Lines;
  readonly exited: Promise<Exit>;
  /** Ends the session as a user does; resolves when openconnect is gone. */
  disconnect(): Promise<Exit>;
  /** The client's machine loses power. */
  kill(): Promise<Exit>;
  /** Drops the connection and comes back with the same cookie, as after a change of network. */
  reconnect(): Promise<{ readonly connected: true } | Refused>;
};

export async function dial(network: Network, login: Login, options: ClientOptions): Promise<Dialling> {
  const argv = [
    ...program(login),
    '--protocol=anyconnect',
    `--servercert=${options.pin}`,
    `--script=${options.script ?? '/bin/true'}`,
    '--non-inter',
    ...(options.dtls ? [] : ['--no-dtls']),
    ...loginArguments(login),
    ...(options.extra ?? []),
    `https://${network.serverAddress}`,
  ];
  const client = await start(inside(network.client, argv), {
    env: toolEnvironment(),
    input: 'user' in login ? `${login.password ?? PASSWORD}\n` : '',
  });
  return {
    pid: client.pid,
    log: client.log,
    outcome: () => outcomeOf(client, options.timeout ?? 30_000),
    async leave() {
      if (client.running) await client.end('SIGINT', 2_000).catch(() => client.end('SIGKILL'));
    },
    kill: () => client.end('SIGKILL'),
  };
}

/** Node passes only text to a program, so a name of other bytes goes through printf (and past XML, which is text too). */
function program(login: Login): string[] {
  if (!('user' in login) || typeof login.user === 'string') return ['openconnect'];
  const octal = Array.from(login.user, (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  return ['sh', '-c', 'exec openconnect "$@" --user="$(printf "$0")"', octal];
}

function loginArguments(login: Login): string[] {
  if (!('user' in login)) return [`--certificate=${login.certificate}`, `--sslkey=${login.key}`];
  const group = login.group === undefined ? [] : [`--authgroup=${login.group}`];
  const name = typeof login.user === 'string' ? [`--user=${login.user}`] : ['--no-xmlpost'];
  return [...name, '--passwd-on-stdin', ...group];
}

async function outcomeOf(client: Running, timeout: number): Promise<Connected | Refused> {
  const answer = await answerOf(client, /Configured as ([0-9a-f.:]+)/, 0, timeout);
  return 'match' in answer ? connected(client, answer.match[1] ?? '') : answer;
}

function connected(client: Running, vpnIp: string): Connected {
  return {
    connected: true,
    pid: client.pid,
    vpnIp,
    log: client.log,
    exited: client.exited,
    disconnect: () => client.end('SIGINT'),
    kill: () => client.end('SIGKILL'),
    async reconnect() {
      const from = client.log.count;
      client.signal('SIGUSR2');
      const answer = await answerOf(client, /CSTP connected/, from, 30_000);
      return 'match' in answer ? { connected: true } : answer;
    },
  };
}

/** What openconnect makes of the server's answer: the line that tells of success, or a refusal, after which it ends. */
async function answerOf(
  client: Running,
  success: RegExp,
  from: number,
  timeout: number,
): Promise<Found | Refused> {
  try {
    return await client.log.waitFor(success, timeout, from);
  } catch (error) {
    if (!client.log.ended) {
      await client.end('SIGKILL');
      throw error;
    }
  }
  await client.exited;
  const { log } = client;
  const reason = log.all(/HTTP\/1\.1 [45]\d\d|Login failed/, from).at(-1) ?? log.all(/\S/).at(-1) ?? '';
  return { connected: false, reason, output: log.text };
}
