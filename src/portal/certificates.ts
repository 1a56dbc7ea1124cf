import { X509Certificate } from 'node:crypto';
import { readRegularFile } from '../config/regular-file.ts';

/**
 * The certificates of a PEM file in their order; of our own chain the first is ours.
 * @throws when it cannot be read, or one of them is none.
 */
export function readCertificates(file: string): X509Certificate[] {
  const blocks = readRegularFile(file)
    .toString('latin1')
    .match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  return (blocks ?? []).map((block) => new X509Certificate(block));
}
