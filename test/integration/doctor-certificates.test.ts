import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type CertificateOptions, makeCertificates } from '../../scripts/portal/certificates.ts';
import { startPortal } from '../../scripts/portal/portal.ts';
import { Patient } from './doctor-patient.ts';
import { openssl } from './doctor-servers.ts';
import { withPortal } from './fixture.ts';

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

const folder = mkdtempSync(join(tmpdir(), 'ocagent-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));

describe('doctor says of certificates', () => {
  const fixture = withPortal({ default: { allowed: true } });

  for (const [what, options, check, level, expected, cure] of [
    [
      'has expired',
      { server: { notBefore: inDays(-9), notAfter: inDays(-2) } },
      'portal.certificate',
      'broken',
      /of the portal at .* expired on \d{4}-/,
      /renew it at the portal/,
    ],
    [
      'is not valid yet',
      { server: { notBefore: inDays(2), notAfter: inDays(9) } },
      'portal.certificate',
      'broken',
      /is not valid before/,
      /clock/,
    ],
    [
      'expires within two weeks',
      { server: { notAfter: inDays(5) } },
      'portal.certificate',
      'warning',
      /expires in [45] day\(s\)/,
      /renew/,
    ],
    [
      'is for another name',
      { server: { names: ['portal.example.net'] } },
      'portal.name',
      'broken',
      /is not for 127\.0\.0\.1, but for DNS:portal\.example\.net/,
      /portal\.tls\.server_name/,
    ],
    [
      'is of another CA',
      { server: { wrongAuthority: true } },
      'portal.chain',
      'broken',
      /is not signed by portal\.tls\.ca_file .*ca\.crt: .*neither in that file nor sent along; its issuer is "ocagent development CA"/,
      /install the CA certificate/,
    ],
  ] as readonly (readonly [string, CertificateOptions, string, 'broken' | 'warning', RegExp, RegExp])[]) {
    test(`that its certificate ${what}`, async () => {
      await using patient = await Patient.admit(fixture);
      const certificates = await makeCertificates(mkdtempSync(join(folder, 'certs-')), options);
      await using portal = await startPortal({ certificates: certificates.directory });
      patient.configure({ address: portal.address, certificates });
      await patient.has(level, check, expected, cure);
    });
  }

  test('that a name which portal.tls.server_name gives is the one that counts', async () => {
    await using patient = await Patient.admit(fixture);
    const options = { server: { names: ['portal.example.net'] } };
    const certificates = await makeCertificates(mkdtempSync(join(folder, 'named-')), options);
    await using portal = await startPortal({ certificates: certificates.directory });
    patient.configure({ address: portal.address, certificates });
    const text = readFileSync(patient.agent.configFile, 'utf8');
    const named = text.replace('[portal.tls]', '[portal.tls]\nserver_name = "portal.example.net"');
    writeFileSync(patient.agent.configFile, named);
    const { code, findings } = await patient.examine();
    assert.equal(code, 0, JSON.stringify(findings, null, 1));
    const found = findings.find(({ check }) => check === 'portal.certificate');
    assert.match(found?.what ?? '', /shows a certificate for portal\.example\.net/);
  });

  test('of the first step that fails, and goes no further', async () => {
    await using patient = await Patient.admit(fixture);
    const options = { server: { names: ['portal.example.net'] } };
    const certificates = await makeCertificates(mkdtempSync(join(folder, 'named-')), options);
    await using portal = await startPortal({ certificates: certificates.directory });
    patient.configure({ address: portal.address, certificates });
    const { findings } = await patient.examine();
    assert.ok(findings.some(({ check }) => check === 'portal.name'));
    assert.ok(!findings.some(({ check }) => check === 'portal.grpc'));
    assert.deepEqual(portal.calls, []);
  });

  test('that it closes the connection once it has seen our certificate', async () => {
    await using patient = await Patient.admit(fixture);
    const foreign = await makeCertificates(mkdtempSync(join(folder, 'foreign-')));
    const { ca } = fixture.certificates;
    patient.configure({ certificates: { ...foreign, ca } });
    await patient.has(
      'broken',
      'portal.client_certificate',
      /closes the connection once it has seen portal\.tls\.cert_file .*agent\.crt/,
      /install a certificate that the portal trusts/,
    );
  });

  test('that it refuses our certificate, in its own words where it has some', async () => {
    await using patient = await Patient.admit(fixture);
    const { ca, serverCertificate, serverKey } = fixture.certificates;
    const foreign = await makeCertificates(mkdtempSync(join(folder, 'foreign-')));
    await using server = await openssl(
      '-Verify',
      '1',
      '-verify_return_error',
      '-CAfile',
      ca,
      '-cert',
      serverCertificate,
      '-key',
      serverKey,
      '-alpn',
      'h2',
    );
    patient.configure({ address: server.address, certificates: { ...foreign, ca } });
    await patient.has(
      'broken',
      'portal.client_certificate',
      /refuses portal\.tls\.cert_file .*agent\.crt: .*(unknown ca|bad certificate)/i,
      /install a certificate that the portal trusts/,
    );
  });
});
