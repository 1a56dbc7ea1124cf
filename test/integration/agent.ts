import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type CertificateFiles, makeCertificates } from '../../scripts/portal/certificates.ts';
import { isAlive } from '../../src/state/process.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const LAUNCHER = join(ROOT, 'bin', 'ocagent-hook');

type Env = Readonly<Record<string, string>>;

/** How one process ended, and what it said. */
export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stderr, which is for the log alone: a line that is not JSON fails the test that reads it. */
  readonly log: readonly Record<string, unknown>[];
  /** The line of the decision. */
  readonly decision: Record<string, unknown> | undefined;
}

export interface AgentOptions {
  /** `host:port`, or several. */
  readonly address: string | readonly string[];
  readonly certificates?: CertificateFiles;
  /** TOML below the generated [portal] and [state]. Events are reported only where it has a table [events]. */
  readonly config?: string;
  readonly portal?: string;
}

/** One installation of the program: a configuration, a state folder, certificates; removed when disposed of. */
export class Agent implements AsyncDisposable {
  readonly folder: string;
  readonly configFile: string;
  readonly state: string;
  /** Where hooks take slots on a busy machine. */
  readonly runDir: string;
  readonly #running = new Set<ChildProcess>();
  #started = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.configFile = join(folder, 'config.toml');
    this.state = join(folder, 'state', 'state.db');
    this.runDir = join(folder, 'run');
  }

  static async install(options: AgentOptions): Promise<Agent> {
    const agent = new Agent(mkdtempSync(join(tmpdir(), 'ocagent-test-')));
    mkdirSync(join(agent.folder, 'state'), { mode: 0o700 });
    // In a storm a drain takes calls whatever there is to deliver: only those tests mean it that have events.
    if (!options.config?.includes('[events]')) withoutReception(agent);
    // Also on a machine that is really busy none is started before its hook: only those tests mean it that say so.
    expectsNoDrain(agent);
    agent.configure(options, options.certificates ?? (await makeCertificates(join(agent.folder, 'certs'))));
    return agent;
  }

  configure({ address, config = '', portal = '' }: AgentOptions, files: CertificateFiles): void {
    writeFileSync(
      this.configFile,
      `agent_id = "vpn-test"
[portal]
address = ${JSON.stringify(address)}
${portal}
[portal.tls]
ca_file = "${files.ca}"
cert_file = "${files.agentCertificate}"
key_file = "${files.agentKey}"
[state]
path = "${this.state}"
${config.includes('[events]') ? '' : '[events]\nenabled = false'}
${config}
`,
      { mode: 0o600 },
    );
  }

  connect(username: string, env: Env = {}): Promise<Run> {
    return this.hook({ ...CONNECT, USERNAME: username, ...env });
  }

  disconnect(username: string, env: Env = {}): Promise<Run> {
    return this.hook({ ...DISCONNECT, USERNAME: username, ...env });
  }

  hook(env: Env, command: readonly string[] = [LAUNCHER]): Promise<Run> {
    return this.start(env, command).ended;
  }

  command(...args: string[]): Promise<Run> {
    return this.start({}, [LAUNCHER, ...args]).ended;
  }

  /** Starts a process without waiting for it. */
  start(env: Env, command: readonly string[] = [LAUNCHER]): { child: ChildProcess; ended: Promise<Run> } {
    const [program = LAUNCHER, ...args] = command;
    // A file, not a pipe: the drain that a hook starts keeps stderr, and nobody waits for it.
    const errFile = join(this.folder, `stderr-${this.#started++}`);
    const err = openSync(errFile, 'a', 0o600);
    const child = spawn(program, args, {
      env: {
        PATH: process.env['PATH'] ?? '',
        ...placeOf(this),
        ...env,
      },
      cwd: '/',
      stdio: ['ignore', 'pipe', err],
    });
    closeSync(err);
    this.#running.add(child);
    const out: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    const ended = new Promise<Run>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        this.#running.delete(child);
        resolve(runOf(code, signal, Buffer.concat(out).toString(), readFileSync(errFile, 'utf8')));
      });
    });
    return { child, ended };
  }

  /** The process that delivers events now; null when there is none. */
  get drain(): number | null {
    const [row] = this.query<{ pid: number }>(`SELECT pid FROM drain WHERE lease = 'held'`);
    return row !== undefined && isAlive(row.pid) ? row.pid : null;
  }

  /** The same, where there must be one: a signal to nobody would be one to the tests themselves. */
  get drainThere(): number {
    const { drain } = this;
    if (drain === null) throw new Error('there is no drain');
    return drain;
  }

  /** The state's own database, for what only it can tell. */
  query<T>(sql: string): T[] {
    const db = new Database(this.state, { timeout: 5_000 });
    try {
      return db.prepare(sql).all() as T[];
    } finally {
      db.close();
    }
  }

  #endDrain(): void {
    try {
      if (this.drain !== null) process.kill(this.drain, 'SIGKILL');
    } catch {
      // The test has made of the state what no drain could work on.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) child.kill('SIGKILL');
    this.#endDrain();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What leads a process to it: nothing of this machine's own is used, or left behind. */
export function placeOf({ configFile, runDir }: Agent): Env {
  return { OCAGENT_CONFIG: configFile, OCAGENT_RUN_DIR: runDir };
}

/** Keeps its drains from taking calls: hooks answer for themselves, and leave questions to whoever leads. */
export function withoutReception({ runDir }: Agent): void {
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(runDir, 'calls'), '');
}

/** Nobody can have the lock of a drain that is about to come. */
function expectsNoDrain({ runDir }: Agent): void {
  mkdirSync(join(runDir, 'coming'), { recursive: true, mode: 0o700 });
}

/** On a busy machine a drain is started before the first hook. */
export function expectsDrain({ runDir }: Agent): void {
  rmdirSync(join(runDir, 'coming'));
}

export const CONNECT = {
  REASON: 'connect',
  ID: '4711',
  IP_REAL: '198.51.100.7',
  IP_REMOTE: '10.200.63.50',
  GROUPNAME: 'staff',
  DEVICE: 'vpn0',
} as const;

export const DISCONNECT = { ...CONNECT, REASON: 'disconnect' } as const;

/** Resolves as soon as this launcher is not killed by SIGTERM any more: no earlier moment is its own. */
export async function hearsSigterm({ pid }: ChildProcess): Promise<void> {
  for (;;) {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const [ignored, caught] = ['SigIgn', 'SigCgt'].map((mask) => {
      const [, bits = '0'] = new RegExp(`${mask}:\\s(\\w+)`).exec(status) ?? [];
      return (BigInt(`0x${bits}`) >> BigInt(constants.signals.SIGTERM - 1)) & 1n;
    });
    if (ignored === 1n || caught === 1n) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function runOf(code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string): Run {
  return {
    code,
    signal,
    stdout,
    stderr,
    get log() {
      return stderr
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    get decision() {
      return this.log.find(({ msg }) => msg === 'connect allowed' || msg === 'connect denied');
    },
  };
}
