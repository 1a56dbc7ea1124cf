import { type Attributes, BUCKETS, type CounterName, type HistogramName } from '../metrics/catalogue.ts';
import { fromJson } from './json.ts';
import type { Transaction } from './transaction.ts';

/** Adds one, in the transaction of what is counted, so that what is on record and what is counted are the same. */
export function count(tx: Transaction, name: CounterName, attributes: Attributes = {}): void {
  tx.write(
    `INSERT INTO counter VALUES (?, ?, 1)
     ON CONFLICT (name, attributes) DO UPDATE SET value = value + 1`,
    name,
    keyOf(attributes),
  );
}

/** Adds one of so many seconds, likewise. */
export function observe(tx: Transaction, name: HistogramName, seconds: number, attributes: Attributes): void {
  const place = placeOf(seconds);
  const first = Array.from({ length: BUCKETS.length + 1 }, (_, i) => (i === place ? 1 : 0));
  const path = `$[${place}]`;
  tx.write(
    `INSERT INTO histogram VALUES (?, ?, ?, ?) ON CONFLICT (name, attributes) DO UPDATE SET
       buckets = json_set(buckets, ?, json_extract(buckets, ?) + 1), sum = sum + excluded.sum`,
    name,
    keyOf(attributes),
    JSON.stringify(first),
    // A sum that decreases would be a reset.
    Math.max(0, seconds),
    path,
    path,
  );
}

function placeOf(seconds: number): number {
  const place = BUCKETS.findIndex((bound) => seconds <= bound);
  return place === -1 ? BUCKETS.length : place;
}

function keyOf(attributes: Attributes): string {
  return JSON.stringify(attributes, Object.keys(attributes).sort());
}

/** The sum over all attributes since the state was created. */
export function total(tx: Transaction, name: CounterName): number {
  return (
    tx.row<{ n: number }>('SELECT coalesce(sum(value), 0) AS n FROM counter WHERE name = ?', name)?.n ?? 0
  );
}

export interface Counted {
  readonly attributes: Attributes;
  readonly value: number;
}

/** One counter by its attributes, as far as it has counted anything. */
export function counted(tx: Transaction, name: CounterName): Counted[] {
  return tx
    .rows<{ attributes: string; value: number }>(
      'SELECT attributes, value FROM counter WHERE name = ? ORDER BY attributes',
      name,
    )
    .map(({ attributes, value }) => ({ attributes: fromJson(attributes, isAttributes), value }));
}

export interface Observed {
  readonly attributes: Attributes;
  /** How many fell into each bucket: not those below it too. */
  readonly buckets: readonly number[];
  /** Seconds. */
  readonly sum: number;
}

/** One histogram by its attributes. */
export function observed(tx: Transaction, name: HistogramName): Observed[] {
  return tx
    .rows<{ attributes: string; buckets: string; sum: number }>(
      'SELECT attributes, buckets, sum FROM histogram WHERE name = ? ORDER BY attributes',
      name,
    )
    .map(({ attributes, buckets, sum }) => ({
      attributes: fromJson(attributes, isAttributes),
      buckets: fromJson(buckets, isBuckets),
      sum,
    }));
}

function isAttributes(value: unknown): value is Attributes {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((one) => typeof one === 'string')
  );
}

function isBuckets(value: unknown): value is number[] {
  return (
    Array.isArray(value) && value.length === BUCKETS.length + 1 && value.every((one) => Number.isInteger(one))
  );
}
