import '../portal/reflect.ts';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

export type Subject = { commonName: string; organizationalUnit?: string };
export type Credential = { certificate: string; key: string };

export type Authority = {
  readonly certificate: string;
  issue(subject: Subject): Promise<Credential>;
};

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY = 86_400_000;

/** A certificate authority for one test or demo: P-256, because RSA keys take seconds to make. */
export async function createAuthority(): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: nameOf({ commonName: 'Demo VPN authority' }),
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    certificate: root.toString('pem'),
    async issue(subject) {
      const own = await webcrypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create({
        ...validity(),
        subject: nameOf(subject),
        issuer: root.subjectName,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: SIGNATURE,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
        ],
      });
      const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', own.privateKey);
      return {
        certificate: certificate.toString('pem'),
        key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
      };
    },
  };
}

/** The fingerprint of a certificate's public key as openconnect's --servercert takes it. */
export function pinOf(certificate: string): string {
  const key = new x509.X509Certificate(certificate).publicKey.rawData;
  return `pin-sha256:${createHash('sha256').update(new Uint8Array(key)).digest('base64')}`;
}

function validity(): { serialNumber: string; notBefore: Date; notAfter: Date } {
  return {
    serialNumber: `01${randomBytes(8).toString('hex')}`,
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + DAY),
  };
}

/** Values go in as UTF-8 strings of their own, not as "CN=…" text, so that no character means anything to anyone. */
function nameOf({ commonName, organizationalUnit }: Subject): x509.Name {
  const name = [{ CN: [{ utf8String: commonName }] }];
  const unit = organizationalUnit === undefined ? [] : [{ OU: [{ utf8String: organizationalUnit }] }];
  return new x509.Name([...unit, ...name]);
}
