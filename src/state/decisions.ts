import { type Dated, type Freshness, type FreshnessRules, freshness } from '../resilience/freshness.ts';
import { hasPassed, type Instant } from '../resilience/instant.ts';
import { supersedes } from '../resilience/supersede.ts';
import { fromJson, isTexts } from './json.ts';
import { currentSequence, nextInSequence } from './sequence.ts';
import type { Transaction } from './transaction.ts';

/** Every input that the portal decides on and that is not new with each session (contract/cli.md, "Cache"). */
export interface DecisionKey {
  readonly vhost: string;
  readonly username: string;
  readonly groupname: string;
  readonly clientIp: string;
}

export interface KeptDecision extends DecisionKey, Dated {
  readonly reason: string;
  readonly routes: readonly string[];
  readonly dnsServers: readonly string[];
}

/** What the portal answered, to be kept. `asked` is null when the state could not be asked for a number then. */
export interface NewDecision {
  readonly allowed: boolean;
  readonly reason: string;
  readonly routes: readonly string[];
  readonly dnsServers: readonly string[];
  readonly cacheTtl: number | null;
  readonly asked: number | null;
}

/** A user's own oldest entry goes past this many for one vhost, so that nobody can flush the others' by roaming. */
export const ENTRIES_PER_USER = 64;

/** Forgetting everybody is a revocation of nobody in particular: no user can have the empty name. */
const EVERYBODY = '';

const COLUMNS = `username, vhost, groupname, client_ip, allowed, reason, routes, dns_servers, cache_ttl,
  asked, answered, answered_wall, answered_boot, answered_mono`;

interface Row {
  username: string;
  vhost: string;
  groupname: string;
  client_ip: string;
  allowed: number;
  reason: string;
  routes: string;
  dns_servers: string;
  cache_ttl: number | null;
  asked: number;
  answered: number;
  answered_wall: number;
  answered_boot: string;
  answered_mono: number;
}

const WHERE_KEY = 'WHERE username = ? AND vhost = ? AND groupname = ? AND client_ip = ?';

export function findDecision(tx: Transaction, key: DecisionKey): KeptDecision | undefined {
  const row = tx.row<Row>(`SELECT ${COLUMNS} FROM decision ${WHERE_KEY}`, ...keyValues(key));
  return row && fromRow(row);
}

/** Marks an entry as the most recently used. */
export function touchDecision(tx: Transaction, key: DecisionKey): void {
  tx.write(`UPDATE decision SET used = ? ${WHERE_KEY}`, nextInSequence(tx), ...keyValues(key));
}

/**
 * Keeps an answer of the portal, unless a newer one is kept or the user was revoked since it was asked for.
 * @returns whether it was kept.
 */
export function keepDecision(
  tx: Transaction,
  key: DecisionKey,
  fresh: NewDecision,
  maxSize: number,
): boolean {
  // Asked while the state could not be used: how old the question is nobody knows. A denial is safe all the same.
  if (fresh.asked === null && fresh.allowed) return false;
  const asked = fresh.asked ?? 0;
  // A number that was never drawn here is of another database (a restored copy): it must not beat what comes after.
  if (asked > currentSequence(tx)) return false;
  const kept = tx.row<{ asked: number; answered: number; allowed: number }>(
    `SELECT asked, answered, allowed FROM decision ${WHERE_KEY}`,
    ...keyValues(key),
  );
  if (kept && !supersedes({ asked, allowed: fresh.allowed }, { ...kept, allowed: kept.allowed === 1 }))
    return false;
  if (fresh.asked !== null && asked <= voidUpTo(tx, key.username, fresh.allowed)) return false;
  tx.write(
    `INSERT INTO decision (${COLUMNS}, used) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (username, vhost, groupname, client_ip) DO UPDATE SET
       allowed = excluded.allowed, reason = excluded.reason, routes = excluded.routes,
       dns_servers = excluded.dns_servers, cache_ttl = excluded.cache_ttl, asked = excluded.asked,
       answered = excluded.answered, answered_wall = excluded.answered_wall,
       answered_boot = excluded.answered_boot, answered_mono = excluded.answered_mono, used = excluded.used`,
    ...keyValues(key),
    fresh.allowed ? 1 : 0,
    fresh.reason,
    JSON.stringify(fresh.routes),
    JSON.stringify(fresh.dnsServers),
    fresh.cacheTtl,
    asked,
    nextInSequence(tx),
    tx.now.wall,
    tx.now.boot,
    tx.now.mono,
    nextInSequence(tx),
  );
  if (kept === undefined) {
    evictOwnOldest(tx, key);
    evictLeastRecentlyUsed(tx, maxSize);
  }
  return true;
}

/**
 * Removes an allowance under one key: the portal answered since, but with an answer that is not to be kept. Older ones
 * that are still on their way are not to be kept either.
 */
export function dropAllowance(tx: Transaction, key: DecisionKey): void {
  voidOnTheirWay(tx, key.username, 'allowances');
  tx.write(`DELETE FROM decision ${WHERE_KEY} AND allowed = 1`, ...keyValues(key));
}

/**
 * Removes every allowance of a user, over all vhosts, groups and addresses, and sees to it that none asked for before
 * now is kept. His denials stay, those on their way too: an outage must not let in whom the portal has just refused.
 * @returns how many were removed.
 */
export function revoke(tx: Transaction, username: string): number {
  voidOnTheirWay(tx, username, 'allowances');
  return tx.write('DELETE FROM decision WHERE username = ? AND allowed = 1', username);
}

/** Forgets all that is known of a user, allowances and denials, and what is on its way for him. */
export function forgetUser(tx: Transaction, username: string): number {
  voidOnTheirWay(tx, username, 'all');
  return tx.write('DELETE FROM decision WHERE username = ?', username);
}

/** Forgets everybody at once: one transaction, which hooks may have to wait for where the cache is huge. */
export function forgetAll(tx: Transaction): number {
  voidOnTheirWay(tx, EVERYBODY, 'all');
  const size = decisionCount(tx);
  tx.write('DELETE FROM decision');
  return size;
}

/** Entries now, without counting them. */
export function decisionCount(tx: Transaction): number {
  return tx.row<{ value: number }>('SELECT value FROM decision_size WHERE id = 1')?.value ?? 0;
}

export interface Tally {
  readonly fresh: number;
  readonly stale: number;
  readonly expired: number;
}

/** How many answer how. It reads the whole table, so it is for people and monitoring, not for hooks. */
export function tallyDecisions(tx: Transaction, rules: FreshnessRules): Tally {
  const tally: Record<Freshness, number> = { fresh: 0, stale: 0, expired: 0 };
  for (const row of tx.each<Row>(`SELECT ${COLUMNS} FROM decision`))
    tally[freshness(fromRow(row), rules, tx.now)]++;
  return tally;
}

/** Entries in the order of use, the latest first; of one user where a name is given. */
export function listDecisions(tx: Transaction, username: string | null, limit: number): KeptDecision[] {
  const rows =
    username === null
      ? tx.rows<Row>(`SELECT ${COLUMNS} FROM decision ORDER BY used DESC LIMIT ?`, limit)
      : tx.rows<Row>(
          `SELECT ${COLUMNS} FROM decision WHERE username = ? ORDER BY used DESC LIMIT ?`,
          username,
          limit,
        );
  return rows.map(fromRow);
}

/**
 * Removes the expired among the next `batch` entries after `cursor`, in the key's order: one short transaction, so
 * that hooks get their turn between two of them.
 * @returns where to go on, or null at the end.
 */
export function removeExpired(
  tx: Transaction,
  rules: FreshnessRules,
  cursor: DecisionKey | null,
  batch: number,
): { next: DecisionKey | null; removed: number } {
  const after =
    cursor === null ? ['', '', '', ''] : [cursor.username, cursor.vhost, cursor.groupname, cursor.clientIp];
  const rows = tx.rows<Row>(
    `SELECT ${COLUMNS} FROM decision WHERE (username, vhost, groupname, client_ip) > (?, ?, ?, ?)
     ORDER BY username, vhost, groupname, client_ip LIMIT ?`,
    ...after,
    batch,
  );
  const entries = rows.map(fromRow);
  const expired = entries.filter((entry) => freshness(entry, rules, tx.now) === 'expired');
  for (const entry of expired) tx.write(`DELETE FROM decision ${WHERE_KEY}`, ...keyValues(entry));
  return { next: rows.length < batch ? null : (entries.at(-1) ?? null), removed: expired.length };
}

/** Revocations older than any call can be on its way. */
export function pruneRevocations(tx: Transaction, olderThan: number): void {
  const old = tx
    .rows<Instant & { username: string }>('SELECT username, wall, boot, mono FROM revocation')
    .filter((row) => hasPassed(olderThan, row, tx.now));
  for (const { username } of old) tx.write('DELETE FROM revocation WHERE username = ?', username);
}

/** Answers asked for up to now are void: allowances only, or denials too. */
function voidOnTheirWay(tx: Transaction, username: string, which: 'allowances' | 'all'): void {
  const upTo = nextInSequence(tx);
  tx.write(
    `INSERT INTO revocation (username, allowances, denials, wall, boot, mono) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (username) DO UPDATE SET allowances = excluded.allowances,
       denials = max(denials, excluded.denials), wall = excluded.wall, boot = excluded.boot, mono = excluded.mono`,
    username,
    upTo,
    which === 'all' ? upTo : 0,
    tx.now.wall,
    tx.now.boot,
    tx.now.mono,
  );
}

/** The point of the sequence up to which allowances, or denials, of this user are void; 0 when none are. */
function voidUpTo(tx: Transaction, username: string, allowed: boolean): number {
  const row = tx.row<{ allowances: number | null; denials: number | null }>(
    'SELECT max(allowances) AS allowances, max(denials) AS denials FROM revocation WHERE username IN (?, ?)',
    username,
    EVERYBODY,
  );
  return (allowed ? row?.allowances : row?.denials) ?? 0;
}

function evictOwnOldest(tx: Transaction, { username, vhost }: DecisionKey): void {
  // Counted first, which hardly ever finds too many: sorting them takes a list of its own.
  const own = tx.row<{ n: number }>(
    'SELECT count(*) AS n FROM decision WHERE username = ? AND vhost = ?',
    username,
    vhost,
  );
  if ((own?.n ?? 0) <= ENTRIES_PER_USER) return;
  tx.write(
    `DELETE FROM decision WHERE (username, vhost, groupname, client_ip) IN (
       SELECT username, vhost, groupname, client_ip FROM decision WHERE username = ? AND vhost = ?
       ORDER BY answered DESC LIMIT -1 OFFSET ?)`,
    username,
    vhost,
    ENTRIES_PER_USER,
  );
}

/** Walks the index of use from its old end: as cheap in a cache of a million as in one of ten. */
function evictLeastRecentlyUsed(tx: Transaction, maxSize: number): void {
  const excess = decisionCount(tx) - maxSize;
  if (excess <= 0) return;
  // After max_size was lowered the excess may be large: a hook removes a bounded part, and the next one goes on.
  tx.write(
    `DELETE FROM decision WHERE (username, vhost, groupname, client_ip) IN (
       SELECT username, vhost, groupname, client_ip FROM decision ORDER BY used LIMIT ?)`,
    Math.min(excess, 100),
  );
}

function keyValues({ username, vhost, groupname, clientIp }: DecisionKey): [string, string, string, string] {
  return [username, vhost, groupname, clientIp];
}

function fromRow(row: Row): KeptDecision {
  return {
    username: row.username,
    vhost: row.vhost,
    groupname: row.groupname,
    clientIp: row.client_ip,
    allowed: row.allowed === 1,
    reason: row.reason,
    routes: fromJson(row.routes, isTexts),
    dnsServers: fromJson(row.dns_servers, isTexts),
    cacheTtl: row.cache_ttl,
    answeredAt: { wall: row.answered_wall, boot: row.answered_boot, mono: row.answered_mono },
  };
}
