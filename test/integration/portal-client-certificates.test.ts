import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type CertificateFiles, makeCertificates } from '../../scripts/portal/certificates.ts';
import { startPortal } from '../../scripts/portal/portal.ts';
import { Agent, type Run } from './agent.ts';
import { openssl } from './doctor-servers.ts';
import { withPortal } from './fixture.ts';
import { failureOf, failuresHeld } from './portal-failures.ts';

const DAY = 86_400_000;
const PAST = { notBefore: new Date(Date.now() - 20 * DAY), notAfter: new Date(Date.now() - 10 * DAY) };
const FUTURE = { notBefore: new Date(Date.now() + 10 * DAY), notAfter: new Date(Date.now() + 20 * DAY) };
const DATE = /\d{4}-\d\d-\d\dT/;

describe('the portal client', () => {
  const fixture = withPortal({ users: { alice: { allowed: true } } });

  /** A portal and an agent whose certificates are broken in one way. */
  const broken = async (
    options: Parameters<typeof makeCertificates>[1],
    check: (run: Run, agent: Agent, files: CertificateFiles) => Promise<void>,
  ): Promise<void> => {
    const files = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')), options);
    const portal = await startPortal({
      certificates: files.directory,
      policy: { users: { alice: { allowed: true } } },
    });
    try {
      await using agent = await Agent.install({ address: portal.address, certificates: files });
      await check(await agent.connect('alice'), agent, files);
    } finally {
      await portal.close();
      rmSync(files.directory, { recursive: true });
    }
  };

  test('names its own certificate with its date when that has expired, and does not hold it against the portal', () =>
    broken({ agent: PAST }, async (run, agent, files) => {
      const failure = failureOf(run);
      assert.equal(failure['level'], 'error');
      assert.match(String(failure['error']), new RegExp(`cert_file ${files.agentCertificate} expired on`));
      assert.match(String(failure['error']), DATE);
      assert.equal(await failuresHeld(agent), 0);
    }));

  test('names its own certificate when it is not valid yet', () =>
    broken({ agent: FUTURE }, async (run) => {
      assert.match(String(failureOf(run)['error']), /cert_file .* is not valid before \d{4}/);
    }));

  test('points at its own certificate when the portal closes the connection over it', () =>
    broken({ agent: { wrongAuthority: true } }, async (run, _agent, files) => {
      const failure = failureOf(run);
      assert.match(String(failure['error']), /closed the connection/);
      assert.match(
        String(failure['cure']),
        new RegExp(`trusts portal\\.tls\\.cert_file ${files.agentCertificate}`),
      );
    }));

  test('says so when the portal refuses its certificate in words, and does not hold it against the portal', async () => {
    const files = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')), {
      agent: { wrongAuthority: true },
    });
    // OpenSSL's own server sends the alert that Node's does not.
    await withOpenssl(files, ['-Verify', '2', '-verify_return_error', '-tls1_3'], async (agent) => {
      assert.match(
        String(failureOf(await agent.connect('alice'))['error']),
        /refused our certificate portal\.tls\.cert_file/,
      );
      assert.equal(await failuresHeld(agent), 0);
    });
  });

  test('speaks TLS 1.3 or nothing, and says so to a portal that is older', async () => {
    const files = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')));
    await withOpenssl(files, ['-tls1_2'], async (agent) => {
      assert.match(
        String(failureOf(await agent.connect('alice'))['error']),
        /does not speak TLS1\.3 or newer/,
      );
    });
  });

  test("says when the portal's certificate expired, and counts that as a failure", () =>
    broken({ server: PAST }, async (run, agent) => {
      assert.match(
        String(failureOf(run)['error']),
        /certificate of the portal at 127.* has expired \(valid from .* to .*\)/,
      );
      assert.equal(await failuresHeld(agent), 1);
    }));

  test("names the CA file when the portal's certificate is of another authority", () =>
    broken({ server: { wrongAuthority: true } }, async (run, agent, files) => {
      assert.match(
        String(failureOf(run)['error']),
        new RegExp(`is not signed by portal\\.tls\\.ca_file ${files.ca}`),
      );
      assert.equal(await failuresHeld(agent), 1);
    }));

  test("says so when the portal's certificate is for another name, unless server_name says which", () =>
    broken({ server: { names: ['portal.example'] } }, async (run, agent) => {
      assert.match(String(failureOf(run)['error']), /is for another name/);
      const { configFile } = agent;
      writeFileSync(
        configFile,
        readFileSync(configFile, 'utf8').replace(
          '[portal.tls]',
          '[portal.tls]\nserver_name = "portal.example"',
        ),
      );
      const named = await agent.connect('alice');
      assert.equal(named.code, 0, named.stderr);
    }));

  test('trusts the public authorities where no ca_file is named, and so not the portal of these tests', async () => {
    await using agent = await fixture.install();
    agent.configure({ address: fixture.portal.address }, { ...fixture.certificates, ca: '' });
    const line = failureOf(await agent.connect('alice'));
    assert.match(String(line['error']), /certificate of the portal at .* is not signed by/);
    assert.equal(fixture.portal.callsOf('CheckPolicy').length, 0);
  });

  test('names the file that is missing, is no certificate, or does not belong to the other', async () => {
    const files = fixture.certificates;
    const other = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')));
    try {
      const junk = join(other.directory, 'junk.pem');
      writeFileSync(junk, 'nothing of use');
      for (const [changed, message] of [
        [{ ca: '/nonexistent/ca.crt' }, /ca_file \/nonexistent\/ca\.crt cannot be read: no such file/],
        [{ agentCertificate: junk }, /cert_file .*junk\.pem is no certificate/],
        [{ agentKey: junk }, /key_file .*junk\.pem is no private key/],
        [{ agentKey: other.agentKey }, /key_file .* does not belong to portal\.tls\.cert_file/],
      ] as const) {
        await using agent = await Agent.install({
          address: fixture.portal.address,
          certificates: { ...files, ...changed },
        });
        const run = await agent.connect('alice');
        assert.match(String(failureOf(run)['error']), message);
        assert.equal(await failuresHeld(agent), 0);
        const check = await agent.command('config', 'check');
        assert.equal(check.code, 1);
        assert.match(check.stdout, message);
      }
    } finally {
      rmSync(other.directory, { recursive: true });
    }
  });

  test('sees an outage through a CA bundle whose first certificate has expired', async () => {
    const old = await makeCertificates(mkdtempSync(join(tmpdir(), 'ocagent-certs-')), { authority: PAST });
    try {
      const bundle = join(old.directory, 'bundle.crt');
      writeFileSync(bundle, readFileSync(old.ca, 'utf8') + readFileSync(fixture.certificates.ca, 'utf8'));
      await using agent = await Agent.install({
        address: fixture.portal.address,
        certificates: { ...fixture.certificates, ca: bundle },
      });
      assert.equal((await agent.connect('alice')).code, 0);
      await fixture.portal.stop();
      assert.equal(failureOf(await agent.connect('bob'))['code'], 'UNAVAILABLE');
      assert.equal(await failuresHeld(agent), 1);
    } finally {
      rmSync(old.directory, { recursive: true });
    }
  });

  test('is not held by a named pipe in the place of a file', async () => {
    await using agent = await fixture.install();
    const pipe = join(agent.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    agent.configure({ address: fixture.portal.address }, { ...fixture.certificates, agentKey: pipe });
    assert.match(
      String(failureOf(await agent.connect('alice'))['error']),
      /key_file .* it is not a regular file/,
    );
    const run = await agent.hook({
      REASON: 'connect',
      USERNAME: 'a',
      IP_REAL: '192.0.2.1',
      OCAGENT_CONFIG: pipe,
    });
    assert.equal(run.code, 2);
  });
});

/** An agent whose portal is `openssl s_server`, under flags that a Node server does not have. */
async function withOpenssl(
  files: CertificateFiles,
  flags: readonly string[],
  check: (agent: Agent) => Promise<void>,
): Promise<void> {
  const own = ['-cert', files.serverCertificate, '-key', files.serverKey, '-CAfile', files.ca, '-alpn', 'h2'];
  try {
    await using server = await openssl(...own, ...flags);
    await using agent = await Agent.install({ address: server.address, certificates: files });
    await check(agent);
  } finally {
    rmSync(files.directory, { recursive: true });
  }
}
