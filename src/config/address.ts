import type { Field } from './field.ts';
import { isIpAddress } from './ip.ts';

/** One portal address: `host` without brackets, as a socket wants it. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const NAME_OR_IPV4 = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?):(\d{1,5})$/;
const BRACKETED_IPV6 = /^\[([0-9A-Fa-f:.]+)\]:(\d{1,5})$/;

function parseAddress(raw: unknown): Address | undefined {
  if (typeof raw !== 'string') return undefined;
  const match = NAME_OR_IPV4.exec(raw) ?? BRACKETED_IPV6.exec(raw);
  const port = Number(match?.[2]);
  if (
    match?.[1] === undefined ||
    (match[1].includes(':') && !isIpAddress(match[1])) ||
    !(port >= 1 && port <= 65535)
  )
    return undefined;
  return { host: match[1], port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** One address or several, tried in their order. It has no default: nobody can guess where the portal is. */
export const addresses: Field<readonly Address[]> = {
  accepts: '"host:port", "[ipv6]:port", or a list of them',
  initial: undefined,
  read: (raw) => {
    const parsed = (Array.isArray(raw) ? raw : [raw]).map(parseAddress);
    const good = parsed.filter((address) => address !== undefined);
    return good.length > 0 && good.length === parsed.length ? good : undefined;
  },
  show: (value) => (value.length === 1 && value[0] ? formatAddress(value[0]) : value.map(formatAddress)),
};
