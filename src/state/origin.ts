import { neverWritten } from './json.ts';
import type { Transaction } from './transaction.ts';

/** When this state began, and which one it is: made once, at its creation. */
export interface Origin {
  /** Wall milliseconds. */
  readonly createdAt: number;
  /** A random UUID. */
  readonly instanceId: string;
}

export function originOf(tx: Transaction): Origin {
  const meta = new Map(
    tx
      .rows<{ name: string; value: string }>('SELECT name, value FROM meta')
      .map((row) => [row.name, row.value]),
  );
  const createdAt = Date.parse(meta.get('created_at') ?? '');
  const instanceId = meta.get('instance_id');
  if (Number.isNaN(createdAt) || instanceId === undefined) throw neverWritten();
  return { createdAt, instanceId };
}
