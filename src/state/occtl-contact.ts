import type { Instant } from '../resilience/instant.ts';
import type { Transaction } from './transaction.ts';

/** ocserv as occtl last met it. */
export interface OcctlContact {
  /** Through which socket it answered last; null when it never has. */
  readonly socket: string | null;
  /** Since when nobody answers there. */
  readonly deadSince: Instant | null;
}

export function loadOcctlContact(tx: Transaction): OcctlContact {
  const row = tx.row<{
    socket: string | null;
    dead_wall: number | null;
    dead_boot: string | null;
    dead_mono: number | null;
  }>('SELECT socket, dead_wall, dead_boot, dead_mono FROM occtl_contact WHERE id = 1');
  return {
    socket: row?.socket ?? null,
    deadSince:
      row === undefined || row.dead_wall === null
        ? null
        : { wall: row.dead_wall, boot: row.dead_boot ?? '', mono: row.dead_mono ?? 0 },
  };
}

export function noteOcctlAnswered(tx: Transaction, socket: string): void {
  tx.write(
    'UPDATE occtl_contact SET socket = ?, dead_wall = NULL, dead_boot = NULL, dead_mono = NULL WHERE id = 1',
    socket,
  );
}

/** Nobody answers; the first time counts. */
export function noteOcctlDead(tx: Transaction): void {
  tx.write(
    'UPDATE occtl_contact SET dead_wall = ?, dead_boot = ?, dead_mono = ? WHERE id = 1 AND dead_wall IS NULL',
    tx.now.wall,
    tx.now.boot,
    tx.now.mono,
  );
}
