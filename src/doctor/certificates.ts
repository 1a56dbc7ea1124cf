import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, type DetailedPeerCertificate } from 'node:tls';
import type { Config } from '../config/schema.ts';
import { CERTIFICATE_DAYS } from '../metrics/limits.ts';
import { readCertificates } from '../portal/certificates.ts';
import { broken, type Finding, ok, warning } from './finding.ts';

/** Renewal takes people a while. */
const SOON_MS = CERTIFICATE_DAYS * 24 * 3_600_000;

const NO_CALL = 'every call to the portal fails: connects are decided by the fail mode';

interface Dated {
  /** As a sentence names it. */
  readonly name: string;
  readonly from: Date;
  readonly to: Date;
}

/** What is wrong with a certificate's dates now, or will be soon; null when nothing is. */
function dates(check: string, { name, from, to }: Dated, now: Date, renew: string): Finding | null {
  if (to < now) return broken(check, `${name} expired on ${to.toISOString()}`, NO_CALL, renew);
  if (from > now) {
    const cure = "see this machine's clock: timedatectl; else have it made anew";
    return broken(check, `${name} is not valid before ${from.toISOString()}`, NO_CALL, cure);
  }
  const left = to.getTime() - now.getTime();
  if (left > SOON_MS) return null;
  const days = Math.floor(left / (24 * 3_600_000));
  const what = `${name} expires in ${days} day(s), on ${to.toISOString()}`;
  return warning(check, what, 'from then on every call to the portal fails', renew);
}

/** The chain that the portal showed, its own certificate first: the CA, the name, and each one's dates. */
export function judgePortalCertificate(
  where: string,
  name: string,
  certificate: DetailedPeerCertificate,
  untrusted: string | null,
  tls: Config['portal']['tls'],
  now: Date,
): Finding[] {
  const check = 'portal.certificate';
  const findings: Finding[] = [];
  const chain = chainOf(certificate);
  for (const [index, { subject, valid_from, valid_to }] of chain.entries()) {
    const whose =
      index === 0
        ? `the certificate of the portal at ${where}`
        : `the CA certificate "${subject.CN}" in the chain of the portal at ${where}`;
    const dated = { name: whose, from: new Date(valid_from), to: new Date(valid_to) };
    const finding = dates(check, dated, now, 'renew it at the portal');
    if (finding !== null) findings.push(finding);
  }
  // Where a date is wrong OpenSSL says no more than that.
  const isDated = findings.some(({ level }) => level === 'broken');
  if (untrusted !== null && !(isDated && /EXPIRED|NOT_YET/.test(untrusted))) {
    findings.push(
      broken(
        'portal.chain',
        `the certificate of the portal at ${where} is not signed by portal.tls.ca_file ${tls.ca_file || '(the CAs of the system)'}: ${inWords(untrusted)}; its issuer is "${certificate.issuer.CN}"`,
        NO_CALL,
        'install the CA certificate that signed it as portal.tls.ca_file, or have the portal send its whole chain',
      ),
    );
  }
  const mismatch = checkServerIdentity(name, certificate);
  if (mismatch !== undefined) {
    findings.push(
      broken(
        'portal.name',
        `the certificate of the portal at ${where} is not for ${name}, but for ${certificate.subjectaltname ?? `CN ${certificate.subject.CN}`}`,
        NO_CALL,
        isIP(name)
          ? 'set portal.tls.server_name to a name in that certificate'
          : 'set portal.tls.server_name to a name in that certificate, or correct portal.address',
      ),
    );
  }
  if (!findings.some(({ level }) => level === 'broken')) {
    findings.push(
      ok(
        check,
        `${where} shows a certificate for ${name}, valid until ${new Date(certificate.valid_to).toISOString()}`,
      ),
    );
  }
  return findings;
}

function chainOf(certificate: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  for (let next = certificate; next !== undefined && !chain.includes(next); next = next.issuerCertificate) {
    if (next.valid_to === undefined) break;
    chain.push(next);
  }
  return chain;
}

/** X509_verify_cert_error_string(3), for the codes that an administrator meets. */
function inWords(code: string): string {
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'it is self-signed';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return 'it comes from another CA';
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'the certificate that signed it is neither in that file nor sent along';
    case 'CERT_SIGNATURE_FAILURE':
      return 'it was signed by another CA of the same name';
    default:
      return code;
  }
}

/** Our own certificate and CA, before the day on which nobody gets in any more. What is wrong already is a fault of the configuration. */
export function checkOwnCertificates(tls: Config['portal']['tls'], now: Date): Finding[] {
  return (['cert_file', 'ca_file'] as const).flatMap((key) => {
    const file = tls[key];
    if (!tls.enabled || file === '') return [];
    const check = `portal.tls.${key}`;
    const all = certificatesIn(file);
    // Of our own chain only the first is ours; of a bundle of CAs the last to expire counts.
    const [first] = key === 'cert_file' ? all : all.toSorted((a, b) => +b.validToDate - +a.validToDate);
    if (first === undefined) return [];
    const dated = { name: `portal.tls.${key} ${file}`, from: first.validFromDate, to: first.validToDate };
    const finding = dates(check, dated, now, 'install a renewed certificate there');
    // Otherwise `tlsFaults` has said it.
    if (finding?.level === 'broken') return [];
    return [finding ?? ok(check, `${file} is valid until ${first.validToDate.toISOString()}`)];
  });
}

/** None where it cannot be read: that is a fault of the configuration. */
function certificatesIn(file: string): readonly X509Certificate[] {
  try {
    return readCertificates(file);
  } catch {
    return [];
  }
}
