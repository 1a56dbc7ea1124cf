import type { Transaction } from './transaction.ts';

/** Counters that are kept so far, by the names of contract/cli.md, "Metrics". */
export type CounterName =
  | 'ocserv.cache.hits_total'
  | 'ocserv.cache.misses_total'
  | 'ocserv.cache.stale_hits_total'
  | 'ocserv.circuit_breaker.requests_total'
  | 'ocserv.circuit_breaker.failures_total'
  | 'ocserv.events.delivered_total'
  | 'ocserv.events.dropped_total';

/** Adds one, in the transaction of what is counted. Attributes have few values: never a username. */
export function count(
  tx: Transaction,
  name: CounterName,
  attributes: Readonly<Record<string, string>> = {},
): void {
  tx.write(
    `INSERT INTO counter VALUES (?, ?, 1)
     ON CONFLICT (name, attributes) DO UPDATE SET value = value + 1`,
    name,
    JSON.stringify(attributes, Object.keys(attributes).sort()),
  );
}

/** The sum over all attributes since the state was created. */
export function total(tx: Transaction, name: CounterName): number {
  return (
    tx.row<{ n: number }>('SELECT coalesce(sum(value), 0) AS n FROM counter WHERE name = ?', name)?.n ?? 0
  );
}
