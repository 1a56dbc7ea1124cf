import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type CertificateFiles, makeCertificates } from '../../scripts/portal/certificates.ts';
import { notePortalCertificate } from '../../src/state/contact.ts';
import { takeSnapshot } from '../../src/telemetry/snapshot.ts';
import { at, ledger, scratch, settings } from './fixture.ts';

/** Certificates have whole seconds. */
const date = (text: string): Date => new Date(`${text}T12:00:00Z`);
const CA_ENDS = date('2035-03-01');
const AGENT_ENDS = date('2031-01-02');

type Tls = Readonly<Record<string, unknown>>;

/** What the gauge says, by whose certificate it is. */
async function expiries(
  t: TestContext,
  tls: Tls,
  met: Date | null = null,
): Promise<Readonly<Record<string, number>>> {
  const config = settings({ portal: { address: '127.0.0.1:9091', tls } });
  const run = await ledger(t);
  if (met !== null) run(at(0), (tx) => notePortalCertificate(tx, met));
  const { gauges } = run(at(0), (tx) => takeSnapshot(tx, config));
  const points = gauges.find(({ name }) => name === 'ocserv.certificate.expiry_timestamp_seconds')?.points;
  const series = points?.map(({ attributes, value }) => [attributes['certificate'] ?? '', value] as const);
  assert.equal(new Set(series?.map(([name]) => name)).size, series?.length, 'each once');
  return Object.fromEntries(series ?? []);
}

function certificates(t: TestContext): Promise<CertificateFiles> {
  return makeCertificates(join(scratch(t), 'certs'), {
    authority: { notAfter: CA_ENDS },
    agent: { notAfter: AGENT_ENDS },
  });
}

function tlsOf({ ca, agentCertificate, agentKey }: CertificateFiles): Tls {
  return { ca_file: ca, cert_file: agentCertificate, key_file: agentKey };
}

const seconds = (moment: Date): number => moment.getTime() / 1_000;

describe('the expiry of certificates', () => {
  test('is what the files say, and of the portal what was last met', async (t) => {
    const tls = tlsOf(await certificates(t));
    assert.deepEqual(await expiries(t, tls), { agent: seconds(AGENT_ENDS), ca: seconds(CA_ENDS) });
    const met = date('2030-06-07');
    assert.deepEqual(await expiries(t, tls, met), {
      agent: seconds(AGENT_ENDS),
      ca: seconds(CA_ENDS),
      portal: seconds(met),
    });
  });

  test('is of a bundle of CAs that of the one that holds longest, wherever it stands', async (t) => {
    const files = await certificates(t);
    const other = await makeCertificates(join(scratch(t), 'other'), {
      authority: { notAfter: date('2027-01-01') },
    });
    const [long, short] = [readFileSync(files.ca, 'utf8'), readFileSync(other.ca, 'utf8')];
    for (const bundle of [long + short, short + long, `# our CAs\n${short}\n${long}`]) {
      const file = join(scratch(t), 'bundle.crt');
      writeFileSync(file, bundle);
      const { ca } = await expiries(t, { ...tlsOf(files), ca_file: file });
      assert.equal(ca, seconds(CA_ENDS));
    }
  });

  test("is of the agent's chain that of its first, which is the agent's own", async (t) => {
    const files = await certificates(t);
    const chain = join(scratch(t), 'chain.crt');
    writeFileSync(chain, readFileSync(files.agentCertificate, 'utf8') + readFileSync(files.ca, 'utf8'));
    assert.equal((await expiries(t, { ...tlsOf(files), cert_file: chain }))['agent'], seconds(AGENT_ENDS));
  });

  for (const [what, make] of [
    ['is missing', () => {}],
    ['is empty', (file: string) => writeFileSync(file, '')],
    ['is no certificate', (file: string) => writeFileSync(file, 'garbage')],
    [
      'has a broken certificate',
      (file: string) => writeFileSync(file, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'),
    ],
    ['is a pipe that nobody writes into', (file: string) => execFileSync('mkfifo', [file])],
  ] as const) {
    test(`shows nothing of a file that ${what}, and the others all the same`, async (t) => {
      const files = await certificates(t);
      const broken = join(scratch(t), 'broken.crt');
      make(broken);
      assert.deepEqual(await expiries(t, { ...tlsOf(files), cert_file: broken }), { ca: seconds(CA_ENDS) });
      assert.deepEqual(await expiries(t, { ...tlsOf(files), ca_file: broken }), {
        agent: seconds(AGENT_ENDS),
      });
    });
  }

  test('shows nothing at all without TLS, or without files', async (t) => {
    assert.deepEqual(await expiries(t, { enabled: false }, date('2030-06-07')), {});
    assert.deepEqual(await expiries(t, { ca_file: '', cert_file: '', key_file: '' }), {});
  });
});
