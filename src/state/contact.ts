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

export function loadContact(tx: Transaction): PortalContact {
  const row = tx.row<{
    last_success: number | null;
    last_error: string | null;
    last_error_at: number | null;
  }>('SELECT last_success, last_error, last_error_at FROM portal_contact WHERE id = 1');
  return {
    lastSuccessAt: timestamp(row?.last_success),
    lastError: row?.last_error ?? null,
    lastErrorAt: timestamp(row?.last_error_at),
  };
}

/** The portal's certificate as a connection met it: when it expires. */
export function notePortalCertificate(tx: Transaction, expires: Date): void {
  tx.write('UPDATE portal_contact SET certificate_expires = ? WHERE id = 1', expires.getTime());
}

/** Wall milliseconds; null when no connection has told. */
export function portalCertificateExpiry(tx: Transaction): number | null {
  return (
    tx.row<{ certificate_expires: number | null }>(
      'SELECT certificate_expires FROM portal_contact WHERE id = 1',
    )?.certificate_expires ?? null
  );
}

/** Wall milliseconds as RFC 3339 in UTC. */
export function timestamp(wall: number | null | undefined): string | null {
  return wall === null || wall === undefined ? null : new Date(wall).toISOString();
}
