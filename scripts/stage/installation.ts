import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type CertificateFiles, makeCertificates } from '../portal/certificates.ts';
import { type Finished, run, toolEnvironment } from '../vpn/run.ts';
import { HookLog } from './hook-log.ts';

export const HOOK = join(import.meta.dirname, '..', '..', 'bin', 'ocagent-hook');

/** The program as an administrator installs it: a configuration, certificates, a state folder, a log. */
export interface Installation {
  readonly certificates: CertificateFiles;
  /** What its hooks and commands need besides PATH. */
  readonly environment: Readonly<Record<string, string>>;
  /** Of the `configure` before. */
  readonly log: HookLog;
  /**
   * Writes a configuration with a state and a log of its own, which begin empty; the next hook goes by it. `config` is
   * TOML that stands at its end, below `[portal]`.
   */
  configure(options: { portal: string; config?: string }): void;
  /** One of the program's commands, as a person calls it. */
  command(...args: string[]): Promise<Finished>;
  /** As `command`; `elsewhere` makes it one that runs in another place, e.g. in a network namespace. */
  commandIn(
    elsewhere: (argv: readonly string[]) => [string, ...string[]],
    ...args: string[]
  ): Promise<Finished>;
  /** The state's own database, for what only it can tell. */
  query<T>(sql: string): T[];
  /** Changes that database by one or more statements, for what only time could do. */
  change(sql: string): void;
}

/** @param folder of which nobody but its owner may write; it goes when its owner removes it. */
export async function install(folder: string): Promise<Installation> {
  const configFile = join(folder, 'config.toml');
  const certificates = await makeCertificates(join(folder, 'certificates'));
  // Nothing of it goes anywhere else.
  const environment = { OCAGENT_CONFIG: configFile, OCAGENT_RUN_DIR: join(folder, 'run') };
  let configured = 0;
  let log: HookLog | undefined;
  const there = () => {
    if (log === undefined) throw new Error('configure the installation first');
    return log;
  };
  const state = () => join(folder, `state-${configured}`, 'state.db');
  const open = () => {
    there();
    return new Database(state(), { timeout: 5_000, fileMustExist: true });
  };
  const call = (argv: [string, ...string[]]) =>
    run(argv, { env: { ...toolEnvironment(), ...environment }, timeout: 30_000 });
  return {
    certificates,
    environment,
    get log() {
      return there();
    },
    configure({ portal, config = '' }) {
      configured += 1;
      mkdirSync(join(folder, `state-${configured}`), { mode: 0o700 });
      log = new HookLog(join(folder, `log-${configured}`, 'hook.log'));
      writeFileSync(configFile, configText(portal, certificates, state(), log.file, config), { mode: 0o600 });
    },
    command: (...args) => call([HOOK, ...args]),
    commandIn: (elsewhere, ...args) => call(elsewhere([HOOK, ...args])),
    query<T>(sql: string) {
      const db = open();
      try {
        return db.prepare(sql).all() as T[];
      } finally {
        db.close();
      }
    },
    change(sql) {
      const db = open();
      try {
        db.exec(sql);
      } finally {
        db.close();
      }
    },
  };
}

function configText(
  portal: string,
  { ca, agentCertificate, agentKey }: CertificateFiles,
  state: string,
  log: string,
  more: string,
): string {
  return `agent_id = "vpn-1"
[portal.tls]
ca_file = ${JSON.stringify(ca)}
cert_file = ${JSON.stringify(agentCertificate)}
key_file = ${JSON.stringify(agentKey)}
[state]
path = ${JSON.stringify(state)}
[log]
level = "debug"
file = ${JSON.stringify(log)}
[portal]
address = ${JSON.stringify(portal)}
${more}`;
}
