import type { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { readRegularFile } from '../config/regular-file.ts';
import type { Config } from '../config/schema.ts';
import type { Failure } from '../policy/types.ts';
import { publicRoots } from '../tls/public-roots.ts';
import { readCertificates } from './certificates.ts';
import { localFault } from './status.ts';

type TlsConfig = Config['portal']['tls'];

/** What TLS goes by, null without TLS; or the local fault that keeps us from having any: named by key and file. */
export function secureContextOf(tls: TlsConfig): SecureContext | Failure | null {
  if (!tls.enabled) return null;
  const { contents, faults } = readFiles(tls);
  if (faults[0] !== undefined) return faults[0];
  try {
    const minVersion = tls.min_version === 'TLS1.2' ? 'TLSv1.2' : 'TLSv1.3';
    const ca = contents.ca ?? publicRoots();
    return createSecureContext({ ...contents, ca, minVersion });
  } catch (error) {
    return localFault(...whichIsBroken(tls, contents, error as Error));
  }
}

/** All that is wrong with the files of portal.tls: what is not there, or does not go together, or is past its date. */
export function tlsFaults(tls: TlsConfig): readonly Failure[] {
  if (!tls.enabled) return [];
  const { faults } = readFiles(tls);
  if (faults.length > 0) return faults;
  const context = secureContextOf(tls);
  const fault = context !== null && 'counts' in context ? context : ownCertificateFault(tls, new Date());
  return fault === null ? [] : [fault];
}

interface Contents {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
}

function readFiles(tls: TlsConfig): { contents: Contents; faults: Failure[] } {
  const files = { ca: tls.ca_file, cert: tls.cert_file, key: tls.key_file };
  const contents: Contents = {};
  const faults: Failure[] = [];
  for (const part of ['ca', 'cert', 'key'] as const) {
    if (files[part] === '') continue;
    try {
      contents[part] = readRegularFile(files[part]);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : message;
      faults.push(
        localFault(
          `portal.tls.${part}_file ${files[part]} cannot be read: ${why}`,
          'put the file there, or correct the path',
        ),
      );
    }
  }
  return { contents, faults };
}

/** OpenSSL's error does not say which file it means; trying each alone does. */
function whichIsBroken(
  tls: TlsConfig,
  { ca, cert, key }: Contents,
  error: Error,
): [detail: string, cure: string] {
  const fails = (options: Parameters<typeof createSecureContext>[0]): boolean => {
    try {
      createSecureContext(options);
      return false;
    } catch {
      return true;
    }
  };
  const cure = 'it must hold PEM text';
  if (ca && fails({ ca })) return [`portal.tls.ca_file ${tls.ca_file} is no certificate`, cure];
  if (cert && fails({ cert })) return [`portal.tls.cert_file ${tls.cert_file} is no certificate`, cure];
  if (key && fails({ key })) {
    return [
      `portal.tls.key_file ${tls.key_file} is no private key that can be used`,
      `${cure}, and have no pass phrase`,
    ];
  }
  if (/key values mismatch|mismatch/i.test(error.message)) {
    return [
      `portal.tls.key_file ${tls.key_file} does not belong to portal.tls.cert_file ${tls.cert_file}`,
      'install the key that the certificate was made for',
    ];
  }
  return [`the TLS files cannot be used together: ${error.message}`, 'see portal.tls'];
}

/**
 * One of our own files is past its date, or not yet valid: the portal's refusal is then our fault. A bundle is in order while
 * one of its certificates is. Null when all are.
 */
export function ownCertificateFault(tls: TlsConfig, now: Date): Failure | null {
  if (!tls.enabled) return null;
  for (const [key, file] of [
    ['cert_file', tls.cert_file],
    ['ca_file', tls.ca_file],
  ] as const) {
    if (file === '') continue;
    try {
      const faults = readCertificates(file)
        // Of our own chain only the first is ours.
        .slice(0, key === 'cert_file' ? 1 : undefined)
        .map((certificate) => dateFault(certificate, now));
      const [first] = faults;
      if (first !== undefined && first !== null && !faults.includes(null)) {
        return localFault(`portal.tls.${key} ${file} ${first.why}`, first.cure);
      }
    } catch {
      // Unreadable by now: what made the call fail was something else, and is reported as it is.
    }
  }
  return null;
}

function dateFault(
  { validFromDate, validToDate }: X509Certificate,
  now: Date,
): { why: string; cure: string } | null {
  if (validToDate < now) {
    return { why: `expired on ${validToDate.toISOString()}`, cure: 'install a renewed certificate there' };
  }
  if (validFromDate > now) {
    return { why: `is not valid before ${validFromDate.toISOString()}`, cure: "see this machine's clock" };
  }
  return null;
}
