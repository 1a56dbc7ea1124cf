import { type Address, formatAddress } from '../config/address.ts';
import type { Config } from '../config/schema.ts';
import type { Met } from '../portal/line.ts';
import { loadPortal } from '../portal/load.ts';
import { judgePortalCertificate } from './certificates.ts';
import { judgeClock } from './clock.ts';
import { broken, type Finding, isBroken, ok } from './finding.ts';
import { type Shaken, shakeHands } from './handshake.ts';
import { reach } from './reach.ts';

/**
 * Every address of the portal, each as far as it goes. While one of them answers, the others are no more than a warning.
 * @param canCall the files of portal.tls can be used; otherwise nobody shakes hands.
 */
export async function checkPortal(config: Config, canCall: boolean): Promise<Finding[]> {
  const all = await Promise.all(
    config.portal.address.map((address) => checkAddress(address, config, canCall)),
  );
  if (all.every(isBroken)) return all.flat();
  return all.flat().map((finding) =>
    finding.level === 'broken'
      ? {
          ...finding,
          level: 'warning',
          why: 'another address answers; while this one is tried, connects wait',
        }
      : finding,
  );
}

/** One step after the other; the first that fails says why, and what comes after it would only say the same. */
async function checkAddress(address: Address, config: Config, canCall: boolean): Promise<Finding[]> {
  const { ips, findings: reached } = await reach(address);
  if (ips.length === 0 || !canCall) return [...reached];
  const { tls } = config.portal;
  if (!tls.enabled) return [...reached, ...(await call(address, config))];
  const shaken = (
    await Promise.all(
      ips.map(async (ip) => judgeHandshake(ip, address, await shakeHands(ip, address, tls), config)),
    )
  ).flat();
  const findings = [...reached, ...shaken];
  return isBroken(shaken) ? findings : [...findings, ...(await call(address, config))];
}

const NO_CALL = 'every call to the portal fails: connects are decided by the fail mode';

function judgeHandshake(ip: string, address: Address, shaken: Shaken, { portal }: Config): Finding[] {
  const { tls } = portal;
  const at = formatAddress({ host: ip, port: address.port });
  const where = ip === address.host ? at : `${formatAddress(address)} (${ip})`;
  if (shaken.kind === 'silent') {
    const what = `${where} accepts connections and does not answer a TLS handshake within ${shaken.milliseconds / 1_000} s`;
    return [broken('portal.tls', what, NO_CALL, 'see what listens there, and whether the portal hangs')];
  }
  if (shaken.kind === 'failed') return [judgeFailure(where, shaken.why, tls)];
  const findings = judgePortalCertificate(
    where,
    tls.server_name || address.host,
    shaken.certificate,
    shaken.untrusted,
    tls,
    new Date(),
  );
  if (!shaken.http2) {
    const what = `${where} speaks ${shaken.protocol} and no HTTP/2`;
    const cure = 'see portal.address: a web server or a proxy listens there; a proxy must offer "h2"';
    findings.push(broken('portal.tls', what, NO_CALL, cure));
  } else if (shaken.after !== null) findings.push(judgeClosing(where, shaken.after, tls));
  else findings.push(ok('portal.tls', `${where} speaks ${shaken.protocol} and HTTP/2`));
  return findings;
}

/** Under TLS 1.3 a client has shaken hands before the server looks at its certificate; some then close without a word. */
function judgeClosing(where: string, why: string, tls: Config['portal']['tls']): Finding {
  const what = `the portal at ${where} closes the connection once it has seen ${shown(tls)}: ${why}`;
  return judgeRefusal(where, why, tls) ?? broken('portal.client_certificate', what, NO_CALL, TRUST_US);
}

const TRUST_US = 'install a certificate that the portal trusts; see its CA, its list of agents and its log';

function shown({ cert_file }: Config['portal']['tls']): string {
  return cert_file === '' ? 'that we show no certificate' : `portal.tls.cert_file ${cert_file}`;
}

/** RFC 8446, 6.2: the alerts that are about our certificate. Null for others. */
function judgeRefusal(where: string, why: string, tls: Config['portal']['tls']): Finding | null {
  const alert = /alert ([a-z ]*(?:certificate|unknown ca|access denied)[a-z ]*)/i.exec(why)?.[1]?.trim();
  if (alert === undefined) return null;
  const what = `the portal at ${where} refuses ${shown(tls)}: ${alert}`;
  return broken('portal.client_certificate', what, NO_CALL, TRUST_US);
}

/** What OpenSSL and the kernel say when a handshake breaks off. */
function judgeFailure(where: string, why: string, tls: Config['portal']['tls']): Finding {
  const check = 'portal.tls';
  const refusal = judgeRefusal(where, why, tls);
  if (refusal !== null) return refusal;
  if (/wrong version number|packet length too long|http request/i.test(why)) {
    const what = `${where} does not speak TLS`;
    const cure = 'see portal.address; is it a plain-text port of the portal?';
    return broken(check, what, NO_CALL, cure);
  }
  if (/protocol version|unsupported protocol/i.test(why)) {
    const what = `${where} does not speak ${tls.min_version.replace('TLS', 'TLS ')} or newer`;
    const cure = 'have the portal offer TLS 1.3, or set portal.tls.min_version = "TLS1.2"';
    return broken(check, what, NO_CALL, cure);
  }
  if (/no application protocol/i.test(why)) {
    const cure = 'see portal.address: what listens there is no gRPC server';
    return broken(check, `${where} speaks TLS and no HTTP/2`, NO_CALL, cure);
  }
  const what = `${where} breaks the connection off in the TLS handshake: ${why}`;
  const cure = 'see the log of the portal, and that it trusts portal.tls.cert_file';
  return broken(check, what, NO_CALL, cure);
}

/** With the name, the connection and the handshake before it still well within what a whole check may take. */
const LONGEST_CALL_MS = 6_000;

/** A session that no portal can have: what is asked changes nothing, whatever the answer. */
const NOBODY = { username: '', sessionId: '0-0', clientIp: '', vhost: null } as const;

/** A real call through the program's own client. Any answer will do that does not speak of trouble. */
async function call(address: Address, config: Config): Promise<Finding[]> {
  const { portalCalls } = await loadPortal(config);
  const where = formatAddress(address);
  let met: { at: Date; portalTime: Met['portalTime'] } | null = null;
  const note = ({ portalTime }: Met): void => {
    met = { at: new Date(), portalTime };
  };
  const timeout = Math.min(config.portal.timeout, LONGEST_CALL_MS);
  const alone = { ...config, portal: { ...config.portal, address: [address], timeout } };
  const calls = portalCalls(alone, note);
  const since = performance.now();
  const answer = await calls.validate(NOBODY);
  const took = Math.round(performance.now() - since);
  calls.close();
  const clock = met as { at: Date; portalTime: Date | null } | null;
  const findings = clock === null ? [] : [judgeClock(clock.portalTime, clock.at)];
  if ('failure' in answer) {
    const { code, detail, cure, counts, misconfigured } = answer.failure;
    if (misconfigured || counts !== 'no') {
      const what = `the portal at ${where} answers with ${code}: ${detail}`;
      const see = cure || 'see the log of the portal, and whether it is overloaded';
      return [...findings, broken('portal.grpc', what, NO_CALL, see)];
    }
  }
  return [...findings, ok('portal.grpc', `the portal at ${where} answered in ${took} ms`)];
}
