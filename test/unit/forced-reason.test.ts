import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type EndReason, forcedReason } from '../../src/accounting/event.ts';

function all(reason: EndReason, words: readonly string[]): void {
  for (const word of words) assert.equal(forcedReason(word), reason, JSON.stringify(word));
}

describe("the portal's words for ending a session", () => {
  test('name a reason of the contract, with or without its prefix, however it is written', () => {
    for (const reason of [
      'ADMIN_FORCED',
      'IDLE_TIMEOUT',
      'SESSION_LIMIT',
      'CERTIFICATE_REVOKED',
      'POLICY_VIOLATION',
    ] as const) {
      all(reason, [
        reason,
        reason.toLowerCase(),
        `DISCONNECT_REASON_${reason}`,
        reason.replace('_', ' '),
        reason.replace('_', '-').toLowerCase(),
        `  ${reason}\n`,
      ]);
    }
  });

  test('speak of a revoked certificate', () => {
    all('CERTIFICATE_REVOKED', [
      'certificate revoked',
      'the certificate has been Revoked by the CA',
      'revocation of 0x1F',
      'revoke',
    ]);
  });

  test('speak of a policy', () => {
    all('POLICY_VIOLATION', [
      'the policy has changed',
      'not allowed by our policies',
      'This violates the rules.',
      'violation',
    ]);
  });

  test('speak of a revocation first, where they speak of both', () => {
    all('CERTIFICATE_REVOKED', ['policy: certificate revoked']);
  });

  test('are an administrator forcing it when they say anything else, or nothing', () => {
    all('ADMIN_FORCED', ['', ' ', 'because', 'irrevocable', 'the police', 'revolution', '💥', 'UNSPECIFIED']);
  });

  test("never make it the user's wish, the server's end or a lost connection: those were not forced", () => {
    all('ADMIN_FORCED', [
      'USER_INITIATED',
      'DISCONNECT_REASON_USER_INITIATED',
      'SERVER_SHUTDOWN',
      'CONNECTION_ERROR',
    ]);
  });

  test('are read in whatever way they are joined', () => {
    all('CERTIFICATE_REVOKED', ['cert_revoked', 'certificate-revoked', 'Certificate  revoked']);
    all('POLICY_VIOLATION', ['policy_violated', 'geo-policy', 'disconnect reason policy violation']);
  });
});
