import type { Transaction } from './transaction.ts';

/** The portal as this machine last met it. Times are RFC 3339 in UTC. */
export interface PortalContact {
  readonly lastSuccessAt: string | null;
  readonly lastError: string | null;
  readonly lastErrorAt: string | null;
}

/** @param error null when the portal answered. */
export function noteContact(tx: Transaction, error: string | null): void {
  if (error === null) tx.write('UPDATE portal_contact SET last_success = ? WHERE id = 1', tx.now.wall);
  else
    tx.write('UPDATE portal_contact SET last_error = ?, last_error_at = ? WHERE id = 1', error, tx.now.wall);
}

interface Row {
  readonly last_success: number | null;
  readonly last_error: string | null;
  readonly last_error_at: number | null;
  readonly certificate_expires: number | null;
}

function load(tx: Transaction): Row | undefined {
  return tx.row<Row>(
    'SELECT last_success, last_error, last_error_at, certificate_expires FROM portal_contact WHERE id = 1',
  );
}

export function loadContact(tx: Transaction): PortalContact {
  const row = load(tx);
  return {
    lastSuccessAt: timestamp(row?.last_success),
    lastError: row?.last_error ?? null,
    lastErrorAt: timestamp(row?.last_error_at),
  };
}

/** Its last word was an error. */
export function isPortalAway(tx: Transaction): boolean {
  const { lastSuccess, lastError } = contactTimes(tx);
  return lastError !== null && lastError > (lastSuccess ?? 0);
}

/** The portal's certificate as a connection met it: when it expires. */
export function notePortalCertificate(tx: Transaction, expires: Date): void {
  tx.write('UPDATE portal_contact SET certificate_expires = ? WHERE id = 1', expires.getTime());
}

/** The same in wall milliseconds; null where there has been none. */
export function contactTimes(tx: Transaction): {
  readonly lastSuccess: number | null;
  readonly lastError: number | null;
  readonly certificateExpires: number | null;
} {
  const row = load(tx);
  return {
    lastSuccess: row?.last_success ?? null,
    lastError: row?.last_error_at ?? null,
    certificateExpires: row?.certificate_expires ?? null,
  };
}

/** Wall milliseconds as RFC 3339 in UTC. */
export function timestamp(wall: number | null | undefined): string | null {
  return wall === null || wall === undefined ? null : new Date(wall).toISOString();
}
