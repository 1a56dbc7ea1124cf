import type { Decision } from '../policy/types.ts';
import { count, observe } from '../state/counters.ts';
import type { Transaction } from '../state/transaction.ts';
import { elapsed } from './elapsed.ts';

/** A connect is counted where it is recorded: one that could not be recorded is in the log alone. */
export function countConnect(tx: Transaction, { source, allowed }: Decision): void {
  count(tx, 'ocserv.hook.decisions_total', { source, allowed: String(allowed) });
  countDuration(tx, 'connect');
}

/** What comes after it, the commit and the log line, cannot be in it: it is written in the hook's one transaction. */
export function countDuration(tx: Transaction, reason: 'connect' | 'disconnect' | 'host-update'): void {
  observe(tx, 'ocserv.hook.duration', elapsed() / 1_000, { reason });
}
