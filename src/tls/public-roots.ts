import { rootCertificates } from 'node:tls';

/**
 * The certificate authorities that Node brings along, for whoever names none of his own. They must be named wherever a connection is
 * made: the launcher keeps Node from reading all hundred and fifty of them as soon as tls is loaded, and without a name nobody is
 * trusted.
 */
export function publicRoots(): string[] {
  return [...rootCertificates];
}
