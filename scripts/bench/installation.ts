import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { CertificateFiles } from '../portal/certificates.ts';

/** A configuration with a state of its own. */
export interface Installation {
  /** What its hooks and commands need besides PATH. */
  readonly environment: Readonly<Record<string, string>>;
  configure(options: {
    readonly portal: string;
    readonly events: boolean;
    /** TOML of the table [telemetry]; default: none. */
    readonly telemetry?: string;
    /** Entries that the cache holds; default: the program's own. */
    readonly maxSize?: number;
  }): void;
  /** Where the state is. */
  readonly state: string;
  /** The first row that the state has for it. */
  query<T>(sql: string): T;
  /** @returns how many rows it has changed. */
  write(sql: string): number;
}

/** @param folder is made; nobody but its owner can write there. */
export function install(folder: string, { ca, agentCertificate, agentKey }: CertificateFiles): Installation {
  const state = join(folder, 'state', 'state.db');
  const configFile = join(folder, 'config.toml');
  mkdirSync(join(folder, 'state'), { recursive: true, mode: 0o700 });
  return {
    // Nothing of it goes anywhere else.
    environment: { OCAGENT_CONFIG: configFile, OCAGENT_RUN_DIR: join(folder, 'run') },
    state,
    configure({ portal, events, telemetry, maxSize }) {
      writeFileSync(
        configFile,
        `[portal]
address = "${portal}"
[portal.tls]
ca_file = "${ca}"
cert_file = "${agentCertificate}"
key_file = "${agentKey}"
[state]
path = "${state}"
[resilience.cache]
ttl = "1h"
deny_ttl = "1h"
stale_ttl = "1h"
${maxSize === undefined ? '' : `max_size = ${maxSize}\n`}${events ? '' : '[events]\nenabled = false\n'}${telemetry === undefined ? '' : `[telemetry]\n${telemetry}\n`}`,
        { mode: 0o600 },
      );
    },
    query<T>(sql: string): T {
      return within(state, (db) => db.prepare(sql).get() as T);
    },
    write(sql) {
      return within(state, (db) => db.prepare(sql).run().changes);
    },
  };
}

function within<T>(state: string, use: (db: Database.Database) => T): T {
  const db = new Database(state, { timeout: 5_000, fileMustExist: true });
  try {
    return use(db);
  } finally {
    db.close();
  }
}
