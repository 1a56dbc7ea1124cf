import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { type Address, formatAddress } from '../config/address.ts';
import { readRegularFile } from '../config/regular-file.ts';
import type { Config } from '../config/schema.ts';
import type { Failure } from '../policy/types.ts';
import { ownCertificateFault } from './credentials.ts';
import { Status } from './grpc-status.ts';
import type { FailedAttempt } from './line.ts';
import { failureOf, localFault } from './status.ts';

/** Milliseconds that looking closer may take, once the call has failed: well within what is kept for recording it. */
const LOOK_MS = 200;

/** What a failed call really was: "14 UNAVAILABLE" helps nobody at three in the morning. */
export async function diagnose(attempt: FailedAttempt, config: Config): Promise<Failure> {
  try {
    return await lookCloser(attempt, config);
  } catch {
    // Looking closer is a service; what is known without it must not be lost over it.
    return failureOf(attempt.code, attempt.details, attempt.everReached);
  }
}

async function lookCloser(attempt: FailedAttempt, { portal }: Config): Promise<Failure> {
  const { code, details, everReached: reached, address, fault } = attempt;
  // A status that the portal sent is its own words, whatever they are.
  if (code !== Status.UNAVAILABLE || fault === null) return failureOf(code, details, reached);
  const where = formatAddress(address);
  const { codes, text } = fault;
  const unavailable = (detail: string, cure: string): Failure => ({
    ...failureOf(code, detail, reached),
    cure,
  });

  if (all(codes, /^(ENOTFOUND|EAI_)/)) {
    return unavailable(
      `the name in ${where} cannot be resolved: ${text}`,
      'see portal.address and the name server',
    );
  }
  if (all(codes, /^ECONNREFUSED$/)) {
    return unavailable(
      `nothing listens on ${where} (connection refused)`,
      'start the portal, or see portal.address',
    );
  }
  if (all(codes, OF_THE_NETWORK)) return unavailable(`${where} was not reached: ${text}`, '');
  // From here on somebody listens there, so our own certificate may be why it does not talk to us.
  const ours = ownCertificateFault(portal.tls, new Date());
  if (ours !== null) return ours;
  const alert = all(codes, OF_OUR_CERTIFICATE) ? /alert ([a-z ]+)/i.exec(text)?.[1]?.trim() : undefined;
  if (alert !== undefined) {
    return localFault(
      `the portal at ${where} refused our certificate portal.tls.cert_file ${portal.tls.cert_file}: ${alert}`,
      'install a certificate that the portal trusts; see its CA and its list of agents',
    );
  }
  if (attempt.reached) return unavailable(`the connection to ${where} was lost: ${text}`, '');
  if (all(codes, /ALERT_NO_APPLICATION_PROTOCOL$|^NO_HTTP2$|^HTTP2_VIOLATION$/)) {
    return unavailable(
      `${where} does not speak HTTP/2: ${text}`,
      'see portal.address: a web server or a proxy listens there; a proxy must offer "h2"',
    );
  }
  if (all(codes, /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/)) {
    const dates = await portalDates(address, portal.tls).catch(() => '');
    const what = all(codes, /EXPIRED/) ? 'has expired' : 'is not yet valid';
    return unavailable(
      `the certificate of the portal at ${where} ${what}${dates}`,
      "renew it at the portal, or see this machine's clock",
    );
  }
  if (all(codes, /SELF_SIGNED|^UNABLE_TO_(GET_ISSUER|VERIFY)|^CERT_SIGNATURE_FAILURE$/)) {
    return unavailable(
      `the certificate of the portal at ${where} is not signed by portal.tls.ca_file ${portal.tls.ca_file}: ${text}`,
      'install the CA certificate that signed it',
    );
  }
  if (all(codes, /^ERR_TLS_CERT_ALTNAME_INVALID$/)) {
    return unavailable(
      `the certificate of the portal at ${where} is for another name: ${text}`,
      'set portal.tls.server_name to a name in that certificate, or correct portal.address',
    );
  }
  if (all(codes, OF_THE_VERSION)) {
    return unavailable(
      `${where} does not speak ${portal.tls.min_version} or newer: ${text}`,
      'see portal.tls.min_version and portal.address',
    );
  }
  if (portal.tls.enabled && all(codes, /^(CLOSED|ECONNRESET|EPIPE|ECONNABORTED)$/)) {
    // Under TLS 1.3 a client has shaken hands before the server looks at its certificate; some then just close.
    return unavailable(
      `the portal at ${where} closed the connection: ${text}`,
      `if it goes on: see that the portal trusts portal.tls.cert_file ${portal.tls.cert_file}`,
    );
  }
  return unavailable(`${where} was not reached: ${text}`, '');
}

/** No TCP connection was made: nobody there has seen us. */
const OF_THE_NETWORK =
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EADDRNOTAVAIL|EACCES|EPERM|EMFILE)$/;

/** RFC 8446, section 6.2: the alerts that a server answers our certificate with, as OpenSSL names them. */
const OF_OUR_CERTIFICATE = /^ERR_SSL_.*_ALERT_(.*CERTIFICATE.*|UNKNOWN_CA|ACCESS_DENIED)$/;

/** One side's versions are not the other's, or what answers does not speak TLS at all. */
const OF_THE_VERSION =
  /^ERR_SSL_(UNSUPPORTED_PROTOCOL|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|.*_ALERT_PROTOCOL_VERSION)$/;

/** Each address of a name has failed on its own: what is said of all must be so of each. */
function all(codes: readonly string[], expected: RegExp): boolean {
  return codes.every((code) => expected.test(code));
}

/** The dates in the portal's certificate, read over a connection that nothing else is sent on. */
async function portalDates(address: Address, tls: Config['portal']['tls']): Promise<string> {
  return new Promise((resolve) => {
    const servername = tls.server_name || address.host;
    const socket = connect({
      host: address.host,
      port: address.port,
      ...(isIP(servername) ? {} : { servername }),
      ...(tls.cert_file === ''
        ? {}
        : { cert: readRegularFile(tls.cert_file), key: readRegularFile(tls.key_file) }),
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    const timer = setTimeout(() => finish(''), LOOK_MS);
    const finish = (dates: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(dates);
    };
    socket.on('error', () => finish(''));
    socket.on('secureConnect', () => {
      const { valid_from, valid_to } = socket.getPeerCertificate();
      finish(` (valid from ${valid_from} to ${valid_to})`);
    });
  });
}
