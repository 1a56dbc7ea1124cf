import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { type Address, formatAddress } from '../config/address.ts';
import { broken, type Finding, ok, warning } from './finding.ts';
import { within } from './within.ts';

/** Milliseconds for a name, and for a connection. */
const PATIENCE_MS = 3_000;

/** Which of a portal's IP addresses can be connected to; none when a finding says why. */
export interface Reached {
  readonly ips: readonly string[];
  readonly findings: readonly Finding[];
}

const NO_ANSWER = 'connects are decided by the fail mode, and no event is delivered';

/** The name, then a TCP connection to each address that it has. */
export async function reach(address: Address): Promise<Reached> {
  const named = await resolve(address);
  if ('level' in named) return { ips: [], findings: [named] };
  const tried = await Promise.all(named.ips.map(async (ip) => ({ ip, code: await tryTo(ip, address.port) })));
  const ips = tried.filter(({ code }) => code === null).map(({ ip }) => ip);
  const failed = tried.flatMap(({ ip, code }) => (code === null ? [] : [{ ip, code }]));
  const findings = failed.map(({ ip, code }) => {
    const { what, cure } = whyUnreached(formatAddress({ host: ip, port: address.port }), code);
    const of = isIP(address.host) ? '' : ` (${address.host})`;
    return ips.length === 0
      ? broken('portal.tcp', what + of, NO_ANSWER, cure)
      : warning('portal.tcp', what + of, 'connects are slow while this address is tried first', cure);
  });
  if (ips.length > 0) findings.push(ok('portal.tcp', `${formatAddress(address)} can be connected to`));
  return { ips, findings: [...named.findings, ...findings] };
}

async function resolve({
  host,
}: Address): Promise<Finding | { ips: readonly string[]; findings: readonly Finding[] }> {
  if (isIP(host)) return { ips: [host], findings: [] };
  const check = 'portal.dns';
  const cure = `see portal.address and /etc/resolv.conf: getent ahosts ${host}`;
  try {
    const found = await within(PATIENCE_MS, lookup(host, { all: true }));
    if (found === 'late') {
      const what = `the name server did not answer for ${host} within ${PATIENCE_MS / 1_000} s`;
      return broken(check, what, NO_ANSWER, cure);
    }
    const ips = found.map(({ address }) => address);
    return { ips, findings: [ok(check, `${host} is ${ips.join(', ')}`)] };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOTFOUND'
        ? `no such name (${code})`
        : code === 'EAI_AGAIN'
          ? `no name server answers (${code})`
          : message;
    return broken(check, `the name ${host} cannot be resolved: ${why}`, NO_ANSWER, cure);
  }
}

/** @returns the error's code; null when it was connected. */
function tryTo(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host, port });
    const end = (code: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(code);
    };
    const timer = setTimeout(() => end('ETIMEDOUT'), PATIENCE_MS);
    socket.on('connect', () => end(null));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

function whyUnreached(where: string, code: string): { what: string; cure: string } {
  switch (code) {
    case 'ECONNREFUSED':
      return {
        what: `nothing listens on ${where} (connection refused)`,
        cure: 'start the portal, or see portal.address',
      };
    case 'ETIMEDOUT':
      return {
        what: `${where} does not answer within ${PATIENCE_MS / 1_000} s`,
        cure: `see the firewalls between here and there, and that the host is up: nc -vz ${where.replace(/:(\d+)$/, ' $1')}`,
      };
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return { what: `there is no way to ${where} (${code})`, cure: "see this machine's routes: ip route" };
    case 'EPERM':
    case 'EACCES':
      return {
        what: `this machine's own firewall forbids connections to ${where} (${code})`,
        cure: 'see nft list ruleset, or iptables -S OUTPUT',
      };
    default:
      return { what: `${where} cannot be connected to: ${code}`, cure: 'see portal.address' };
  }
}
