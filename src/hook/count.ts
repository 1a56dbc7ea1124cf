import type { Decision } from '../policy/types.ts';
import { count, observe } from '../state/counters.ts';
import type { Transaction } from '../state/transaction.ts';

/**
 * A connect is counted where it is recorded: one that could not be recorded is in the log alone.
 * @param took milliseconds.
 */
export function countConnect(tx: Transaction, { source, allowed }: Decision, took: number): void {
  count(tx, 'ocserv.hook.decisions_total', { source, allowed: String(allowed) });
  countDuration(tx, 'connect', took);
}

/**
 * What comes after it, the commit and the log line, cannot be in it: it is written in the hook's one transaction.
 * @param took milliseconds.
 */
export function countDuration(
  tx: Transaction,
  reason: 'connect' | 'disconnect' | 'host-update',
  took: number,
): void {
  observe(tx, 'ocserv.hook.duration', took / 1_000, { reason });
}
