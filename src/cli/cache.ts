import type { Config } from '../config/schema.ts';
import { freshnessRules } from '../policy/rules.ts';
import { type FreshnessRules, freshness } from '../resilience/freshness.ts';
import { age, type Instant } from '../resilience/instant.ts';
import { inTurns } from '../state/batches.ts';
import { pruneBlame } from '../state/breaker.ts';
import { timestamp } from '../state/contact.ts';
import { total } from '../state/counters.ts';
import {
  type DecisionKey,
  decisionCount,
  forgetAll,
  forgetUser,
  type KeptDecision,
  listDecisions,
  pruneRevocations,
  removeExpired,
  tallyDecisions,
} from '../state/decisions.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { CommandFailed, configOf, type GlobalOptions, mustBeRecorded, stateOf } from './context.ts';
import { print, printJson, roughly, sheet, table, visible } from './output.ts';

/** The fields of `cache stats --json`, and of `status --json` under `cache`. */
export function cacheStats(tx: Transaction, config: Config): Record<string, number> {
  return {
    size: decisionCount(tx),
    ...tallyDecisions(tx, freshnessRules(config)),
    max_size: config.resilience.cache.max_size,
    hits_total: total(tx, 'ocserv.cache.hits_total'),
    misses_total: total(tx, 'ocserv.cache.misses_total'),
    stale_hits_total: total(tx, 'ocserv.cache.stale_hits_total'),
  };
}

export async function stats(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const state = await stateOf(config);
  const figures = await state.read((tx) => cacheStats(tx, config));
  if (options.json) await printJson(figures);
  else
    await print(
      sheet(Object.entries(figures).map(([name, value]) => [name.replaceAll('_', ' '), String(value)])),
    );
  return 0;
}

export interface ListOptions extends GlobalOptions {
  readonly user?: string;
  readonly limit: number;
}

/** The entries as `--json` prints them, in the order of use, the latest first. */
export async function list(options: ListOptions): Promise<number> {
  const { entries, rules, now } = await read(options);
  if (options.json) await printJson(entries.map((entry) => entryJson(entry, rules, now)));
  else if (entries.length === 0) await print('no cached decisions');
  else {
    const rows = entries.map((entry) => [
      visible(entry.username),
      visible(entry.groupname) || '-',
      entry.clientIp || '-',
      visible(entry.vhost),
      entry.allowed ? 'allowed' : 'denied',
      freshness(entry, rules, now),
      roughly(age(entry.answeredAt, now) / 1_000),
      visible(entry.reason),
    ]);
    await print(table(['USER', 'GROUP', 'CLIENT', 'VHOST', 'DECISION', 'STATE', 'AGE', 'REASON'], rows));
  }
  return 0;
}

/** All that is kept of one user. Exit 1 when there is nothing. */
export async function show(options: ListOptions & { readonly user: string }): Promise<number> {
  const { entries, rules, now } = await read(options);
  if (options.json) await printJson(entries.map((entry) => entryJson(entry, rules, now)));
  else {
    const sheets = entries.map((entry) =>
      sheet(
        Object.entries(entryJson(entry, rules, now)).map(([name, value]) => [name, visible(shown(value))]),
      ),
    );
    await print(
      sheets.length === 0 ? `no cached decision for ${visible(options.user)}` : sheets.join('\n\n'),
    );
  }
  return entries.length > 0 ? 0 : 1;
}

export async function invalidate(options: GlobalOptions & { readonly user: string }): Promise<number> {
  if (options.user === '') throw new CommandFailed('--user is empty', 2);
  const state = await stateOf(await configOf(options), { create: true });
  const removed = await state.step((tx) => forgetUser(tx, options.user));
  mustBeRecorded(state);
  await report(
    options,
    { username: options.user, removed },
    `${removed} decision(s) of ${visible(options.user)} forgotten`,
  );
  return 0;
}

export async function clear(options: GlobalOptions): Promise<number> {
  const state = await stateOf(await configOf(options), { create: true });
  const removed = await state.step((tx) => forgetAll(tx));
  mustBeRecorded(state);
  await report(options, { removed }, `${removed} decision(s) forgotten`);
  return 0;
}

/** Longer than any call can be on its way: the revocations that held back its answer are no longer needed. */
const REVOCATIONS_KEPT_MS = 24 * 3_600_000;

/** Removes what is past its stale time. Cron calls it, while hundreds of hooks may run. */
export async function cleanup(options: GlobalOptions): Promise<number> {
  const config = await configOf(options);
  const removed = await cleanUp(config, await stateOf(config));
  await report(options, { removed }, `${removed} expired decision(s) removed`);
  return 0;
}

/** @returns how many decisions were removed. */
export async function cleanUp(config: Config, state: State): Promise<number> {
  const removed = await removeAllExpired(state, freshnessRules(config));
  await state.step((tx) => {
    pruneRevocations(tx, REVOCATIONS_KEPT_MS);
    pruneBlame(tx, config.resilience.circuit_breaker.interval);
  });
  mustBeRecorded(state);
  return removed;
}

async function removeAllExpired(state: State, rules: FreshnessRules): Promise<number> {
  let removed = 0;
  let cursor: DecisionKey | null = null;
  await inTurns(
    state,
    (tx, atMost) => removeExpired(tx, rules, cursor, atMost),
    (done) => {
      removed += done.removed;
      cursor = done.next;
      return cursor !== null;
    },
  );
  mustBeRecorded(state);
  return removed;
}

async function read(
  options: ListOptions,
): Promise<{ entries: KeptDecision[]; rules: FreshnessRules; now: Instant }> {
  if (options.user === '') throw new CommandFailed('--user is empty', 2);
  const config = await configOf(options);
  const state = await stateOf(config);
  return state.read((tx) => ({
    entries: listDecisions(tx, options.user ?? null, options.limit),
    rules: freshnessRules(config),
    now: tx.now,
  }));
}

function entryJson(entry: KeptDecision, rules: FreshnessRules, now: Instant): Record<string, unknown> {
  return {
    username: entry.username,
    groupname: entry.groupname,
    client_ip: entry.clientIp,
    vhost: entry.vhost,
    allowed: entry.allowed,
    reason: entry.reason,
    state: freshness(entry, rules, now),
    age_seconds: age(entry.answeredAt, now) / 1_000,
    answered_at: timestamp(entry.answeredAt.wall),
    cache_ttl_seconds: entry.cacheTtl === null ? null : entry.cacheTtl / 1_000,
    routes: entry.routes,
    dns_servers: entry.dnsServers,
  };
}

function shown(value: unknown): string {
  if (value === null || value === '') return '-';
  return Array.isArray(value) ? value.join(', ') || '-' : String(value);
}

async function report(options: GlobalOptions, json: unknown, text: string): Promise<void> {
  if (options.json) await printJson(json);
  else await print(text);
}
