import { lstatSync, readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { now } from '../state/clock.ts';
import { SCHEMA_VERSION } from '../state/migrate.ts';
import { Transaction } from '../state/transaction.ts';
import { troubleOf } from '../state/unusable.ts';
import { broken, type Finding, note, ok } from './finding.ts';
import { lockHolder } from './lock-holder.ts';
import { quoted } from './quoted.ts';

/** Milliseconds that SQLite waits, deaf, for whoever has the database for himself alone. */
const BUSY_MS = 1_000;
const MOST_LINES = 5;
/** Past this a full check would take longer than a person waits; the quick one leaves out comparing the indexes. */
const FULL_CHECK_UP_TO = 256 * 1024 * 1024;

/**
 * The state's own database, read and never written: no corrupt one is set aside, and no older one brought forward.
 * @param read what else is wanted of it; it is not called where the database cannot tell.
 */
export async function checkStateContent(
  path: string,
  read: (tx: Transaction) => Finding[],
): Promise<Finding[]> {
  const findings = inspect(path, read);
  const holder = await lockHolder(path);
  if (holder !== null) {
    findings.push(
      broken(
        'state.lock',
        `${path} has been locked by process ${holder}${nameOf(holder)} for longer than a hook waits`,
        'hooks go on without recording anything while it holds the lock',
        `see what it does: ps -fp ${holder}; end it if it hangs`,
      ),
    );
  }
  return findings;
}

function inspect(path: string, read: (tx: Transaction) => Finding[]): Finding[] {
  let db: Database.Database | null = null;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
    db.exec('BEGIN');
    const integrity = checkIntegrity(db, path);
    if (integrity.level === 'broken') return [integrity];
    const schema = checkSchema(db, path);
    if (schema.level !== 'ok') return [integrity, schema];
    return [integrity, schema, ...read(new Transaction(db, now(), false))];
  } catch (error) {
    return [unreadable(path, error)];
  } finally {
    db?.close();
  }
}

function checkIntegrity(db: Database.Database, path: string): Finding {
  const check = lstatSync(path).size <= FULL_CHECK_UP_TO ? 'integrity_check' : 'quick_check';
  const lines = (db.pragma(`${check}(${MOST_LINES})`) as Record<string, string>[]).map((row) => row[check]);
  return lines.join() === 'ok' ? ok('state.integrity', `${path} is sound`) : corrupt(path, lines.join('; '));
}

function corrupt(path: string, how: string): Finding {
  return broken(
    'state.integrity',
    `${path} is corrupt: ${how}`,
    'the hook that meets the damage sets the database aside and begins a new one: cache and sessions start empty',
    'run ocagent-hook maintain, which salvages undelivered events, and see the disk: dmesg, smartctl',
  );
}

function checkSchema(db: Database.Database, path: string): Finding {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > SCHEMA_VERSION) {
    return broken(
      'state.schema',
      `${path} has schema ${version}, and this program knows up to ${SCHEMA_VERSION}`,
      'hooks of this program go on without the state',
      'install the ocagent-hook that wrote it, or a newer one',
    );
  }
  if (version < SCHEMA_VERSION) {
    return note(
      'state.schema',
      `${path} has schema ${version}, older than this program's ${SCHEMA_VERSION}`,
      'until then neither the backlog of events nor the last run of maintain can be seen here',
      'none is needed: the next hook or command upgrades it',
    );
  }
  return ok('state.schema', `schema ${version}`);
}

function unreadable(path: string, error: unknown): Finding {
  const { message, code } = error as { message: string; code?: string };
  const cause = `${message}${code === undefined ? '' : ` (${code})`}`;
  const withoutIt = 'hooks go on without the state';
  switch (troubleOf(error)) {
    case 'corrupt':
      return corrupt(path, cause);
    case 'busy':
      return broken(
        'state.lock',
        `${path} is locked: ${cause}`,
        withoutIt,
        `see who has it: fuser -v ${quoted(path)}; end it if it hangs`,
      );
    case 'unwritable':
    case 'unusable':
    case 'not SQLite':
      return broken(
        'state.integrity',
        `${path} cannot be read: ${cause}`,
        withoutIt,
        'see the free space, the mode and the mount of its folder',
      );
  }
}

function nameOf(pid: number): string {
  try {
    return ` (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`;
  } catch {
    return '';
  }
}
