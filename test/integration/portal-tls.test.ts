import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type ServiceError, status } from '@grpc/grpc-js';
import {
  type CertificateFiles,
  type LeafOptions,
  makeCertificates,
} from '../../scripts/portal/certificates.ts';
import { type Portal, startPortal } from '../../scripts/portal/portal.ts';
import { PortalAgent } from './portal-agent.ts';

const ROOT = resolve(import.meta.dirname, '../..');
mkdirSync(join(ROOT, 'build'), { recursive: true });
const scratch = mkdtempSync(join(ROOT, 'build/portal-tls-test-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);

function open(portal: Portal, files: CertificateFiles, options: ConnectionOptions = {}): TLSSocket {
  return connect({
    host: portal.host,
    port: portal.port,
    servername: 'localhost',
    ca: readFileSync(files.ca),
    cert: readFileSync(files.agentCertificate),
    key: readFileSync(files.agentKey),
    ALPNProtocols: ['h2'],
    ...options,
  });
}

describe('certificates', () => {
  test('keys are readable by their owner only, also when a set is replaced', async () => {
    const directory = join(scratch, 'modes');
    await makeCertificates(directory);
    const files = await makeCertificates(directory);
    assert.equal(statSync(files.serverKey).mode & 0o777, 0o600);
    assert.equal(statSync(files.agentKey).mode & 0o777, 0o600);
    assert.equal(statSync(files.ca).mode & 0o777, 0o644);
  });

  test('an agent may have any common name', async () => {
    const files = await makeCertificates(join(scratch, 'name'), { agent: { commonName: 'vpn-1, Berlin' } });
    await using portal = await startPortal({ certificates: files.directory });
    const socket = open(portal, files);
    await portal.until(() => portal.connections.handshakes === 1, 'a handshake');
    const own = socket.getCertificate();
    assert.ok(own !== null && 'subject' in own);
    assert.equal(own.subject.CN, 'vpn-1, Berlin');
    socket.destroy();
  });
});

describe('the portal refuses an agent', () => {
  async function refused(
    files: Parameters<typeof makeCertificates>[1],
    why: RegExp,
    bare = false,
  ): Promise<void> {
    const set = await makeCertificates(mkdtempSync(join(scratch, 'agent-')), files);
    await using portal = await startPortal({ certificates: set.directory, policy: { users: { alice: {} } } });
    using agent = new PortalAgent(portal.address, bare ? { ca: set.ca } : set);
    await assert.rejects(agent.check({ username: 'alice' }), (error: ServiceError) => {
      return error.code === status.UNAVAILABLE;
    });
    await portal.until(() => portal.connections.refused > 0, 'a refused handshake');
    assert.match(portal.lastRefusal ?? '', why);
    assert.equal(portal.connections.handshakes, 0);
    assert.deepEqual(portal.calls, []);
  }

  test('without a certificate', () => refused({}, /peer did not return a certificate/, true));
  test('of another CA', () => refused({ agent: { wrongAuthority: true } }, /UNABLE_TO_|unable to/));
  test('whose certificate has expired', () =>
    refused({ agent: { notBefore: inDays(-7), notAfter: inDays(-1) } }, /CERT_HAS_EXPIRED/));
  test('whose certificate is not yet valid', () =>
    refused({ agent: { notBefore: inDays(1) } }, /CERT_NOT_YET_VALID/));

  test('that speaks TLS 1.2', async () => {
    const files = await makeCertificates(join(scratch, 'tls12'));
    await using portal = await startPortal({ certificates: files.directory });
    await assert.rejects(
      once(open(portal, files, { maxVersion: 'TLSv1.2' }), 'secureConnect'),
      /protocol version/,
    );
    assert.equal(portal.connections.handshakes, 0);
  });
});

describe('an agent can refuse the portal', () => {
  async function clientError(server: LeafOptions): Promise<string | undefined> {
    const files = await makeCertificates(mkdtempSync(join(scratch, 'server-')), { server });
    await using portal = await startPortal({ certificates: files.directory });
    const [error]: NodeJS.ErrnoException[] = await once(open(portal, files), 'error');
    return error?.code;
  }

  test('that has another name', async () => {
    assert.equal(await clientError({ names: ['portal.example'] }), 'ERR_TLS_CERT_ALTNAME_INVALID');
  });
  test('that another CA vouches for', async () => {
    assert.match((await clientError({ wrongAuthority: true })) ?? '', /UNABLE_TO_/);
  });
  test('whose certificate has expired', async () => {
    assert.equal(await clientError({ notBefore: inDays(-7), notAfter: inDays(-1) }), 'CERT_HAS_EXPIRED');
  });
  test('whose certificate is not yet valid', async () => {
    assert.equal(await clientError({ notBefore: inDays(1) }), 'CERT_NOT_YET_VALID');
  });
});
