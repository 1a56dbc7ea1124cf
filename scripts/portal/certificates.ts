/**
 * Makes what mutual TLS needs, on the spot: a CA, a certificate for the portal and one for an agent. By default
 * everything is right; each option breaks one thing, so that a test can ask for exactly the fault that it is about.
 *
 *   node scripts/portal/certificates.ts DIR [--agent NAME] [--name HOST_OR_ADDRESS]...
 */
import './reflect.ts';
import { randomBytes, webcrypto } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as x509 from '@peculiar/x509';

/** What the portal's certificate is valid for unless told otherwise. */
const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '::1'];

export interface Validity {
  /** Default: an hour ago, so that clocks that differ a little do no harm. */
  notBefore?: Date;
  /** Default: in 30 days. */
  notAfter?: Date;
}

export interface LeafOptions extends Validity {
  commonName?: string;
  /** DNS names and IP addresses, instead of the default ones. */
  names?: readonly string[];
  /** Signed by another CA that carries the same name: only its key tells it apart. */
  wrongAuthority?: boolean;
}

export interface CertificateOptions {
  authority?: Validity;
  /** Default names: `LOOPBACK_NAMES`. */
  server?: LeafOptions;
  /** Default common name: `agent`. */
  agent?: LeafOptions;
}

/** Paths of the files that were written. */
export interface CertificateFiles {
  directory: string;
  ca: string;
  serverCertificate: string;
  serverKey: string;
  agentCertificate: string;
  agentKey: string;
}

const CURVE = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

interface Authority {
  certificate: x509.X509Certificate;
  keys: webcrypto.CryptoKeyPair;
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
}

// RFC 5280, 4.1.2.2: positive and at most 20 octets.
function serialNumber(): string {
  const octets = randomBytes(16);
  octets[0] = (octets.readUInt8(0) & 0x3f) | 0x40;
  return octets.toString('hex');
}

function dates(options: Validity): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: options.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: options.notAfter ?? new Date(Date.now() + 30 * 24 * HOUR_MS),
  };
}

async function createAuthority(options: Validity): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: ['ocagent development CA'] }],
    ...dates(options),
    keys,
    signingAlgorithm: CURVE,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate, keys };
}

/** A certificate and its private key (PKCS #8), both PEM. */
async function issue(
  authority: Authority,
  usage: 'serverAuth' | 'clientAuth',
  commonName: string,
  names: readonly string[],
  validity: Validity,
): Promise<{ certificate: string; key: string }> {
  const keys = await newKeys();
  const alternativeNames = names.map(
    (value): x509.JsonGeneralName => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }),
  );
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    // As an object, not as text: a name may hold commas.
    subject: [{ CN: [commonName] }],
    issuer: authority.certificate.subject,
    ...dates(validity),
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: CURVE,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage]]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
      ...(alternativeNames.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternativeNames)]),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}

async function writePem(path: string, pem: string, mode: number): Promise<string> {
  // An existing file would keep its mode.
  await rm(path, { force: true });
  await writeFile(path, `${pem.trimEnd()}\n`, { mode });
  return path;
}

/** Writes ca.crt, server.crt, server.key, agent.crt and agent.key to `directory`; replaces a set that is there. */
export async function makeCertificates(
  directory: string,
  options: CertificateOptions = {},
): Promise<CertificateFiles> {
  const server = options.server ?? {};
  const agent = options.agent ?? {};
  const authority = await createAuthority(options.authority ?? {});
  const signer = (leaf: LeafOptions) => (leaf.wrongAuthority === true ? createAuthority({}) : authority);
  const portalPair = await issue(
    await signer(server),
    'serverAuth',
    server.commonName ?? 'portal',
    server.names ?? LOOPBACK_NAMES,
    server,
  );
  const agentName = agent.commonName ?? 'agent';
  const agentPair = await issue(await signer(agent), 'clientAuth', agentName, agent.names ?? [], agent);

  await mkdir(directory, { recursive: true });
  const write = (name: string, pem: string, mode: number) => writePem(join(directory, name), pem, mode);
  return {
    directory,
    ca: await write('ca.crt', authority.certificate.toString('pem'), 0o644),
    serverCertificate: await write('server.crt', portalPair.certificate, 0o644),
    serverKey: await write('server.key', portalPair.key, 0o600),
    agentCertificate: await write('agent.crt', agentPair.certificate, 0o644),
    agentKey: await write('agent.key', agentPair.key, 0o600),
  };
}

if (import.meta.main) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { agent: { type: 'string' }, name: { type: 'string', multiple: true, default: [] } },
  });
  const directory = positionals[0];
  if (directory === undefined || positionals.length > 1) {
    console.error(
      'usage: node scripts/portal/certificates.ts DIR [--agent NAME] [--name HOST_OR_ADDRESS]...',
    );
    process.exit(2);
  }
  const files = await makeCertificates(directory, {
    server: { names: [...LOOPBACK_NAMES, ...values.name] },
    agent: values.agent === undefined ? {} : { commonName: values.agent },
  });
  console.log(`wrote ${Object.values(files).slice(1).join(', ')}`);
}
