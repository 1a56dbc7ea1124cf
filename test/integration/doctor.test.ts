import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type CertificateOptions, makeCertificates } from '../../scripts/portal/certificates.ts';
import { startPortal } from '../../scripts/portal/portal.ts';
import { LAUNCHER } from './agent.ts';
import { Patient } from './doctor-patient.ts';
import { withPortal } from './fixture.ts';

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

const folder = mkdtempSync(join(tmpdir(), 'ocagent-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const NOBODY = '65534';
/** As another user than root, whom /proc shows less, and files deny more. */
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const ROOT_ONLY = { skip: process.getuid?.() === 0 ? false : 'only root can become somebody else' };

describe('doctor says of the configuration', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('that it is not there, and checks all the same what does not need it', async () => {
    await using patient = await Patient.admit(fixture);
    rmSync(patient.agent.configFile);
    patient.ocserv({ 'connect-script': undefined });
    const { code, findings } = await patient.examine();
    const found = findings.find(({ check }) => check === 'configuration');
    assert.equal(found?.level, 'broken');
    assert.match(found.what, /config\.toml: there is no such file; .*config init/);
    assert.match(found.why, /refuses every connect/);
    assert.match(found.cure, /ocagent-hook --config \/.*\/config\.toml config init/);
    assert.equal(findings.find(({ check }) => check === 'ocserv.connect-script')?.level, 'broken');
    assert.equal(code, 1);
  });

  test('every error in it, with its line', async () => {
    await using patient = await Patient.admit(fixture);
    writeFileSync(patient.agent.configFile, '[portal]\naddres = "x:1"\ntimeout = "3 seconds"\n', {
      mode: 0o600,
    });
    const { code, findings } = await patient.examine();
    const errors = findings.filter(({ check }) => check === 'configuration');
    assert.deepEqual(
      errors.map(({ level }) => level),
      ['broken', 'broken', 'broken'],
    );
    assert.ok(
      errors.some(({ what }) =>
        /config\.toml:2: unknown key portal\.addres; did you mean portal\.address\?/.test(what),
      ),
    );
    assert.ok(errors.every(({ cure }) => /ocagent-hook --config \/.* config check/.test(cure)));
    assert.equal(code, 1);
  });

  test('that others can write it', async () => {
    await using patient = await Patient.admit(fixture);
    chmodSync(patient.agent.configFile, 0o602);
    const { code, findings } = await patient.examine();
    assert.match(
      findings.find(({ level }) => level === 'broken')?.what ?? '',
      /can be written by others \(mode 0602\)/,
    );
    assert.equal(code, 1);
  });

  test('that everybody can read it', async () => {
    await using patient = await Patient.admit(fixture);
    chmodSync(patient.agent.configFile, 0o644);
    await patient.has(
      'warning',
      'configuration',
      /config\.toml can be read by everybody/,
      /^chmod 0640 .*config\.toml$/,
    );
  });

  for (const [what, spoil, expected, cure] of [
    [
      'is not there',
      (file: string) => rmSync(file),
      /portal\.tls\.key_file .*agent\.key cannot be read: no such file/,
      /put the file there/,
    ],
    [
      'is no key',
      (file: string) => writeFileSync(file, 'x'),
      /portal\.tls\.key_file .* is no private key/,
      /PEM/,
    ],
  ] as const) {
    test(`that the key ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      const certificates = await makeCertificates(mkdtempSync(join(folder, 'key-')));
      spoil(certificates.agentKey);
      patient.configure({ certificates });
      const { code, findings } = await patient.examine();
      const found = findings.find(({ check, level }) => check === 'configuration' && level === 'broken');
      assert.match(found?.what ?? '', expected);
      assert.match(found?.cure ?? '', cure);
      assert.equal(code, 1);
      // The portal is knocked at all the same, and nobody shakes hands.
      const portal = findings.filter((finding) => /^portal(\.(tcp|tls|grpc))?$/.test(finding.check));
      assert.deepEqual(
        portal.map((finding) => `${finding.check} ${finding.level}`),
        ['portal.tcp ok'],
      );
    });
  }

  test('that the key is not that of the certificate', async () => {
    await using patient = await Patient.admit(fixture);
    const other = await makeCertificates(mkdtempSync(join(folder, 'other-')));
    patient.configure({ certificates: { ...fixture.certificates, agentKey: other.agentKey } });
    const { code, findings } = await patient.examine();
    const found = findings.find(({ check, level }) => check === 'configuration' && level === 'broken');
    assert.match(found?.what ?? '', /does not belong to portal\.tls\.cert_file/);
    assert.equal(code, 1);
  });

  test('that everybody can read the key', async () => {
    await using patient = await Patient.admit(fixture);
    const certificates = await makeCertificates(mkdtempSync(join(folder, 'open-')));
    await using portal = await startPortal({ certificates: certificates.directory });
    chmodSync(certificates.agentKey, 0o644);
    patient.configure({ address: portal.address, certificates });
    await patient.has(
      'warning',
      'configuration',
      /agent\.key can be read by everybody/,
      /^chmod 0600 .*agent\.key$/,
    );
  });

  for (const [what, options, check, level, expected] of [
    [
      'our own certificate has expired',
      { agent: { notBefore: inDays(-9), notAfter: inDays(-2) } },
      'configuration',
      'broken',
      /cert_file .* expired on/,
    ],
    [
      'our own certificate expires in five days',
      { agent: { notAfter: inDays(5) } },
      'portal.tls.cert_file',
      'warning',
      /cert_file .* expires in [45] day/,
    ],
    [
      'the CA expires in five days',
      { authority: { notAfter: inDays(5) } },
      'portal.tls.ca_file',
      'warning',
      /ca_file .* expires in [45] day/,
    ],
  ] as readonly (readonly [string, CertificateOptions, string, 'broken' | 'warning', RegExp])[]) {
    test(`that ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      const certificates = await makeCertificates(mkdtempSync(join(folder, 'dates-')), options);
      await using portal = await startPortal({ certificates: certificates.directory });
      patient.configure({ address: portal.address, certificates });
      const { code, findings } = await patient.examine();
      const found = findings.find((finding) => finding.check === check && finding.level === level);
      assert.match(found?.what ?? '', expected, JSON.stringify(findings, null, 1));
      assert.match(found?.cure ?? '', /renewed certificate/);
      assert.equal(code, level === 'broken' ? 1 : 0);
    });
  }

  for (const [config, check, level, expected, cure] of [
    ['[hook]\nmode = "observe"\n', 'hook.mode', 'warning', /OBSERVE MODE: EVERYBODY IS LET IN/, /enforce/],
    [
      '[resilience]\nfail_mode = "open"\n',
      'resilience.fail_mode',
      'warning',
      /everybody gets in while the portal/,
      /stale/,
    ],
    [
      '[resilience]\nemergency_users = ["root-admin"]\n',
      'resilience.emergency_users',
      'note',
      /1 emergency user\(s\): root-admin/,
      /short/,
    ],
    ['[events]\nenabled = false\n', 'events.enabled', 'note', /is not told of sessions/, /enabled = true/],
  ] as const) {
    test(`that it has ${config.split('\n')[1]}`, async () => {
      await using patient = await Patient.admit(fixture);
      patient.configure({ config });
      await patient.has(level, check, expected, cure);
    });
  }
});

describe('doctor', () => {
  const fixture = withPortal({ default: { allowed: true } });

  test('prints for people what is broken first, each with why and cure, then what is well, a line each', async () => {
    await using patient = await Patient.admit(fixture);
    patient.ocserv({ 'disconnect-script': undefined, 'log-level': '1' });
    chmodSync(patient.agent.state, 0o644);
    const { code, stdout } = await patient.agent.command('doctor', '--ocserv-conf', patient.ocservConf);
    assert.equal(code, 1);
    const lines = stdout.trimEnd().split('\n');
    const levels = lines
      .map((line) => line.slice(0, 9).trim())
      .filter((level) => level !== '' && !/^\d/.test(level));
    const order = ['broken', 'warning', 'note', 'ok'];
    assert.deepEqual(
      levels,
      levels.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)),
    );
    assert.match(lines[0] ?? '', /^broken {3}.* has no disconnect-script \[ocserv\.disconnect-script\]$/);
    assert.match(lines[1] ?? '', /^ {9}why: {2}the portal is not told when sessions end/);
    assert.match(
      lines[2] ?? '',
      new RegExp(
        `^ {9}cure: in .*: disconnect-script = ${LAUNCHER}; then: ocserv -t -c .* && systemctl reload ocserv$`,
      ),
    );
    assert.match(lines.at(-1) ?? '', /^1 broken, \d+ warning\(s\), \d+ note\(s\), \d+ ok$/);
    assert.ok(!stdout.includes('\u001b'));
  });

  test('shows foreign text with its control characters as escapes', async () => {
    await using patient = await Patient.admit(fixture);
    await fixture.portal.setPolicy({ error: 'INTERNAL', error_message: 'red \u001b[31malert' });
    const { stdout } = await patient.agent.command('doctor', '--ocserv-conf', patient.ocservConf);
    assert.match(stdout, /INTERNAL: red \\u001b\[31malert/);
    assert.ok(!stdout.includes('\u001b'));
  });

  test('as another user says what it could not see, and who should ask', ROOT_ONLY, async () => {
    await using patient = await Patient.admit(fixture);
    chmodSync(patient.agent.folder, 0o755);
    chmodSync(patient.agent.configFile, 0o644);
    chmodSync(patient.ocservConf, 0o600);
    writeFileSync(join(patient.agent.folder, 'hook.log'), '', { mode: 0o600 });
    const { code, findings } = await patient.examine(AS_NOBODY);
    const of = (check: string) => findings.find((finding) => finding.check === check);
    assert.match(of('doctor')?.what ?? '', /this runs as uid 65534/);
    assert.match(
      of('state.trust')?.what ?? '',
      /^not checked: .*belongs to uid 0, and this runs as uid 65534/,
    );
    assert.equal(of('state.trust')?.level, 'warning');
    assert.match(of('ocserv.conf')?.what ?? '', /cannot be read by this user/);
    assert.match(of('maintain')?.what ?? '', /^nothing that this user can see runs/);
    const key = findings.find(({ what }) => /key_file/.test(what));
    assert.match(
      key?.what ?? '',
      /^not checked: portal\.tls\.key_file .* cannot be read: permission denied$/,
    );
    assert.equal(key?.level, 'note');
    assert.match(of('log')?.what ?? '', /^not checked: log\.file /);
    assert.equal(of('log')?.level, 'note');
    for (const check of ['doctor', 'state.trust', 'ocserv.conf', 'maintain', 'configuration', 'log'])
      assert.match(of(check)?.cure ?? '', /as root$/);
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
  });

  test('as another user calls nothing broken that only root may read', ROOT_ONLY, async () => {
    await using patient = await Patient.admit(fixture);
    chmodSync(patient.agent.folder, 0o755);
    patient.script('closed/hook', `#!/bin/sh\nexec ${LAUNCHER}\n`);
    chmodSync(join(patient.agent.folder, 'closed'), 0o700);
    const own = patient.script('hook', `#!/bin/sh\nexec ${LAUNCHER}\n`, 0o700);
    patient.ocserv({ 'connect-script': join(patient.agent.folder, 'closed/hook'), 'disconnect-script': own });
    const { code, findings } = await patient.examine(AS_NOBODY);
    for (const check of ['configuration', 'ocserv.connect-script', 'ocserv.disconnect-script']) {
      const found = findings.find((finding) => finding.check === check);
      assert.equal(found?.level, 'note', JSON.stringify(findings, null, 1));
      assert.match(found.what, /^not checked: /);
      assert.match(found.cure, /as root$/);
    }
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
  });

  test('names a check that could not be done, and does the others', ROOT_ONLY, async () => {
    await using patient = await Patient.admit(fixture);
    const { agent } = patient;
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, agent.folder]);
    // It can be entered and written, and not be read.
    chmodSync(dirname(agent.state), 0o300);
    const { code, findings } = await patient.examine(AS_NOBODY);
    const found = findings.find(({ check }) => check === 'state');
    assert.equal(found?.level, 'note', JSON.stringify(findings, null, 1));
    assert.match(found.what, /^it could not be checked: EACCES/);
    assert.match(found.cure, /as root$/);
    assert.ok(findings.some(({ check }) => check === 'ocserv.connect-script'));
    assert.equal(code, 0);
  });
});
