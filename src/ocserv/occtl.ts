import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { withoutScope } from '../config/ip.ts';
import type { Config } from '../config/schema.ts';
import { parseOcctl } from './occtl-json.ts';

/** A session as ocserv has it now. */
export interface Listed {
  /** The `ID` that ocserv's scripts get. */
  readonly id: string;
  /** As occtl prints it: see `isName`. */
  readonly username: string;
  readonly groupname: string;
  readonly vhost: string;
  /** `connected`; anything else while it is being set up or torn down. */
  readonly state: string;
  readonly device: string;
  readonly remoteIp: string;
  readonly vpnIp: string;
  /** Wall milliseconds, by whole minutes; null when it could not be read. */
  readonly connectedAt: number | null;
  /** Bytes by occtl's own count, where it runs in the network namespace of the tunnel. */
  readonly received: bigint | null;
  readonly sent: bigint | null;
}

export type Listing =
  | { readonly kind: 'listed'; readonly users: readonly Listed[]; readonly socket: string }
  /** Nobody answers at the socket: ocserv does not run, or another socket is its own. */
  | { readonly kind: 'dead'; readonly why: string; readonly socket: string }
  | { readonly kind: 'failed'; readonly why: string };

/** Where occtl looks when it is not told. */
const DEFAULT_SOCKET = '/var/run/occtl.socket';
/** occtl waits for an ocserv that is stopped or shutting down for as long as that takes. */
const TIMEOUT_MS = 10_000;
/** Its status when there is no such user or ID. */
const NOT_FOUND = 2;
/** A thousand users are about a megabyte. */
const MOST_OUTPUT = 256 * 1024 * 1024;
/** cron's PATH is short, and some keep occtl in sbin. */
const MORE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** ocserv's control tool. It never runs in a hook: ocserv waits for the hook, and the hook would wait for ocserv. */
export class Occtl {
  readonly #command: string;
  readonly #socket: string;

  constructor({ occtl, occtl_socket }: Config['ocserv']) {
    this.#command = occtl;
    this.#socket = occtl_socket;
  }

  /** Who is there now. Never throws. */
  async users(): Promise<Listing> {
    const { status, stdout, said } = await this.#run('-j', 'show', 'users');
    if (status === 0) {
      try {
        return { kind: 'listed', users: readUsers(parseOcctl(stdout)), socket: this.socket };
      } catch (error) {
        return { kind: 'failed', why: `occtl printed what is no list of users: ${(error as Error).message}` };
      }
    }
    const code = await knock(this.socket);
    if (code === 'ECONNREFUSED' || code === 'ENOENT') {
      const why = `nobody answers at ${this.socket} (${code})`;
      return { kind: 'dead', why, socket: this.socket };
    }
    return { kind: 'failed', why: said };
  }

  /** Who has that ID at this moment: IDs recur, and a list is old when it has been read. Null when nobody has; never throws. */
  async user(id: string): Promise<Listed | null | 'unknown'> {
    const { status, stdout } = await this.#run('-j', 'show', 'id', id);
    if (status === NOT_FOUND) return null;
    if (status !== 0) return 'unknown';
    try {
      return readUsers(parseOcctl(stdout)).find((user) => user.id === id) ?? null;
    } catch {
      return 'unknown';
    }
  }

  /** @returns null when ocserv ended it, else why not. */
  async disconnect(id: string): Promise<string | null> {
    const { status, said } = await this.#run('disconnect', 'id', id);
    return status === 0 ? null : said;
  }

  get socket(): string {
    return this.#socket || DEFAULT_SOCKET;
  }

  #run(...args: string[]): Promise<{ status: number | null; stdout: string; said: string }> {
    const socket = this.#socket === '' ? [] : ['-s', this.#socket];
    const env = {
      PATH: [process.env['PATH'], MORE_PATH].filter(Boolean).join(':'),
      LC_ALL: 'C',
      // It prints local time, and what that is here Node and the C library do not always agree on.
      TZ: 'UTC',
    };
    const options = { env, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: MOST_OUTPUT } as const;
    return new Promise((resolve) => {
      const child = execFile(this.#command, [...socket, ...args], options, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        const what = [this.#command, ...socket, ...args].join(' ');
        const words = (stderr || stdout).trim().split('\n').slice(-3).join(' ');
        const how = error?.killed ? `did not end within ${TIMEOUT_MS / 1_000} s` : (error?.message ?? '');
        resolve({ status, stdout, said: `${what}: ${words || how || `ended with ${status}`}` });
      });
      // It must not read what this process was given.
      child.stdin?.end();
    });
  }
}

/** The error of connecting to a socket; null when somebody answers. */
function knock(path: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(null);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'));
  });
}

/**
 * Whether a name as occtl prints it can be this one. Where `char` is signed (x86), its JSON has each byte from 0x80 on as
 * U+00FF, whichever it was: then names of the same length that differ in such bytes only look alike.
 */
export function isName(printed: string, name: string): boolean {
  return (
    printed === name ||
    printed ===
      Buffer.from(name)
        .toString('latin1')
        .replace(/[\x80-\xff]/g, '\xff')
  );
}

/** Whether occtl's form of a name tells which name it is. */
export function isExact(printed: string): boolean {
  return !printed.includes('\xff') && !printed.includes('\ufffd');
}

/** @throws when it is no list of users. */
export function readUsers(json: unknown): Listed[] {
  if (!Array.isArray(json)) throw new TypeError('it is not an array');
  return json.map((entry) => {
    if (typeof entry !== 'object' || entry === null) throw new TypeError('an entry is not an object');
    const user = entry as Record<string, unknown>;
    const text = (key: string): string => (typeof user[key] === 'string' ? (user[key] as string) : '');
    const id = String(user['ID'] ?? '');
    if (!/^\d{1,20}$/.test(id)) throw new TypeError(`an entry has the ID ${JSON.stringify(user['ID'])}`);
    return {
      id,
      username: text('Username'),
      groupname: text('Groupname') === '(none)' ? '' : text('Groupname'),
      vhost: text('vhost') || 'default',
      state: text('State'),
      device: text('Device'),
      remoteIp: withoutScope(text('Remote IP')),
      vpnIp: withoutScope(text('IPv4') || text('IPv6')),
      connectedAt: minute(text('Connected at')),
      received: counter(user['RX']),
      sent: counter(user['TX']),
    };
  });
}

/** `2026-11-23 10:04`, in UTC, as occtl was told to. */
function minute(text: string): number | null {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2})/.exec(text);
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  return Number.isNaN(time) ? null : time;
}

function counter(value: unknown): bigint | null {
  return (typeof value === 'string' || typeof value === 'number') && /^\d{1,20}$/.test(String(value))
    ? BigInt(value)
    : null;
}
