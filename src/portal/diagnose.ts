import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { type Address, formatAddress } from '../config/address.ts';
import { readRegularFile } from '../config/regular-file.ts';
import type { Config } from '../config/schema.ts';
import type { Failure } from '../policy/types.ts';
import { ownCertificateFault } from './credentials.ts';
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

/** How grpc-js and OpenSSL begin to speak of the connection. A status that the portal sent is its own words, whatever they are. */
const OF_THE_CONNECTION =
  /^(No connection established|Connection dropped|(read|write) E|[0-9A-F]{8,}:error:)/;

async function lookCloser(attempt: FailedAttempt, { portal }: Config): Promise<Failure> {
  const { code, details, everReached: reached, address } = attempt;
  if (code !== status.UNAVAILABLE || (attempt.reached && !OF_THE_CONNECTION.test(details))) {
    return failureOf(code, details, reached);
  }
  const where = formatAddress(address);
  const unavailable = (detail: string, cure: string): Failure => ({
    ...failureOf(code, detail, reached),
    cure,
  });

  if (/ENOTFOUND|EAI_AGAIN|Name resolution failed/i.test(details)) {
    return unavailable(
      `the name in ${where} cannot be resolved: ${details}`,
      'see portal.address and the name server',
    );
  }
  if (/ECONNREFUSED/.test(details)) {
    return unavailable(
      `nothing listens on ${where} (connection refused)`,
      'start the portal, or see portal.address',
    );
  }
  // From here on somebody listens there, so our own certificate may be why it does not talk to us.
  const ours = ownCertificateFault(portal.tls, new Date());
  if (ours !== null) return ours;
  const alert = /alert ([a-z ]*(?:certificate|unknown ca|access denied)[a-z ]*)/i.exec(details)?.[1]?.trim();
  if (alert !== undefined) {
    return localFault(
      `the portal at ${where} refused our certificate portal.tls.cert_file ${portal.tls.cert_file}: ${alert}`,
      'install a certificate that the portal trusts; see its CA and its list of agents',
    );
  }
  if (/certificate has expired|certificate is not yet valid/i.test(details)) {
    const dates = await portalDates(address, portal.tls);
    return unavailable(
      `the certificate of the portal at ${where} ${/expired/i.test(details) ? 'has expired' : 'is not yet valid'}${dates}`,
      "renew it at the portal, or see this machine's clock",
    );
  }
  if (/self-signed|unable to verify|unable to get (local )?issuer|signature failure/i.test(details)) {
    return unavailable(
      `the certificate of the portal at ${where} is not signed by portal.tls.ca_file ${portal.tls.ca_file}: ${details}`,
      'install the CA certificate that signed it',
    );
  }
  if (/altnames|does not match certificate/i.test(details)) {
    return unavailable(
      `the certificate of the portal at ${where} is for another name: ${details}`,
      'set portal.tls.server_name to a name in that certificate, or correct portal.address',
    );
  }
  if (/unsupported protocol|wrong version number|protocol version|packet length too long/i.test(details)) {
    return unavailable(
      `${where} does not speak ${portal.tls.min_version} or newer: ${details}`,
      'see portal.tls.min_version and portal.address',
    );
  }
  if (portal.tls.enabled && /ECONNRESET|EPIPE|ECONNABORTED|Failed to connect/.test(details)) {
    // Under TLS 1.3 a client has shaken hands before the server looks at its certificate; some then just close.
    return unavailable(
      `the portal at ${where} closed the connection: ${details}`,
      `if it goes on: see that the portal trusts portal.tls.cert_file ${portal.tls.cert_file}`,
    );
  }
  return unavailable(attempt.reached ? details : `${where} was not reached: ${details}`, '');
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
