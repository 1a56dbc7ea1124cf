import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';

/** ocserv itself is asked, and tests its file as root only. */
const OCSERV = {
  skip:
    process.getuid?.() === 0 && existsSync('/usr/sbin/ocserv')
      ? false
      : 'ocserv is not here, or this is not root',
};

describe('doctor says of the settings in ocserv.conf', () => {
  const fixture = withPortal({ default: { allowed: true } });

  for (const [seconds, level] of [
    ['8', 'broken'],
    ['5', 'broken'],
    ['15', 'warning'],
    // Enough for a connect, and not for one that waits for its turn: 14 s with a deadline of 8 s.
    ['30', 'warning'],
  ] as const) {
    test(`that its auth-timeout of ${seconds} s is too short for hook.deadline: ${level}`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ 'auth-timeout': seconds });
      await patient.has(
        level,
        'ocserv.auth-timeout',
        new RegExp(`auth-timeout is ${seconds} s, and hook\\.deadline 8s`),
        /auth-timeout = 240/,
      );
    });
  }

  test('that its log-level tells little, which is a note', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'log-level': '1' });
    await patient.has('note', 'ocserv.log-level', /log-level is 1/, /log-level = 2/);
  });

  test('that it has no log-level, which tells nothing', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'log-level': undefined });
    await patient.has('note', 'ocserv.log-level', /log-level is 0/, /log-level = 2/);
  });

  test('that an auth-timeout of 0 ends logins now and then', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'auth-timeout': '0' });
    await patient.has('warning', 'ocserv.auth-timeout', /auth-timeout is 0/, /auth-timeout = 240/);
  });

  for (const [what, value] of [
    ['nothing', ''],
    ['a folder', '/etc'],
  ] as const) {
    test(`that ocserv-fw lets everybody in where the connect-script is ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.ocserv({ 'connect-script': value, 'restrict-user-to-routes': 'true' });
      const { findings } = await patient.has(
        'broken',
        'ocserv.connect-script',
        /cannot be run/,
        /ocagent-hook/,
      );
      assert.match(
        findings.find(({ check }) => check === 'ocserv.connect-script')?.why ?? '',
        /EVERYBODY .* GETS IN/,
      );
    });
  }

  test('what ocserv passes over in it', OCSERV, async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'Connect-Timeout': '5' });
    await patient.has('warning', 'ocserv.conf', /skipping unknown option 'Connect-Timeout'/, /ocserv -t -c/);
  });

  test('what keeps ocserv from starting, in its own words', OCSERV, async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'server-cert': '/nowhere/server.crt' });
    await patient.has(
      'broken',
      'ocserv.conf',
      /does not accept .*: cannot open file \/nowhere\/server\.crt/,
      /ocserv -t -c/,
    );
  });

  test('that it forbids occtl', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'use-occtl': 'false' });
    await patient.has('broken', 'ocserv.occtl', /use-occtl = false/, /use-occtl = true/);
  });

  test("that its socket is not the configuration's", async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'occtl-socket-file': '/run/other.socket' });
    await patient.has(
      'broken',
      'ocserv.occtl',
      /occtl-socket-file \/run\/other\.socket, and ocserv\.occtl_socket is \/.*occtl\.sock/,
      /set ocserv\.occtl_socket = "\/run\/other\.socket"/,
    );
  });
});
