/** Readers for the policy file: each takes a value as TOML gave it and names the key that is wrong, and why. */
import { BlockList, isIP } from 'node:net';
import { status } from '@grpc/grpc-js';

/** `Input` is what people write, `Output` what the portal works with. */
export type Reader<Output, Input = Output> = ((value: unknown, path: string) => Output) & {
  readonly input?: Input;
};
export type OutputOf<R> = R extends (value: unknown, path: string) => infer Output ? Output : never;
export type InputOf<R> = R extends { readonly input?: infer Input } ? Exclude<Input, undefined> : never;

export class PolicyError extends Error {
  override name = 'PolicyError';
}

function wrong(path: string, value: unknown, expected: string): PolicyError {
  const written = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part));
  return new PolicyError(`policy: ${path} is ${written}; write ${expected}`);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

export const boolean: Reader<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw wrong(path, value, 'true or false');
  return value;
};

export const text: Reader<string> = (value, path) => {
  if (typeof value !== 'string') throw wrong(path, value, 'a string');
  return value;
};

export const texts: Reader<string[], readonly string[]> = (value, path) => {
  if (!Array.isArray(value)) throw wrong(path, value, 'a list of strings');
  return value.map((item, index) => text(item, `${path}[${index}]`));
};

/** In milliseconds. */
export const duration: Reader<number, string> = (value, path) => {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(value) : null;
  const unit = match === null ? undefined : { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? ''];
  if (match === null || unit === undefined) throw wrong(path, value, 'a duration such as "250ms" or "2s"');
  return Number(match[1]) * unit;
};

export const statusCode: Reader<status, string> = (value, path) => {
  const code =
    typeof value === 'string' ? Object.entries(status).find(([name]) => name === value)?.[1] : undefined;
  if (typeof code !== 'number')
    throw wrong(path, value, 'a gRPC status such as "UNAVAILABLE", or "OK" for none');
  return code;
};

/** Addresses and CIDR prefixes, IPv4 and IPv6. */
export const networks: Reader<BlockList, readonly string[]> = (value, path) => {
  const list = new BlockList();
  for (const [index, entry] of texts(value, path).entries()) {
    const [address = '', prefix, ...rest] = entry.split('/');
    const width = isIP(address) === 6 ? 128 : 32;
    const bits = prefix === undefined ? width : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (isIP(address) === 0 || rest.length > 0 || !(bits <= width)) {
      throw wrong(`${path}[${index}]`, entry, 'a network such as "192.0.2.0/24" or "2001:db8::/32"');
    }
    list.addSubnet(address, bits, width === 128 ? 'ipv6' : 'ipv4');
  }
  return list;
};

// biome-ignore lint/suspicious/noExplicitAny: only a bound; what goes in and out is inferred from each reader.
type AnyReader = Reader<any, any>;

/** A table with these keys, all optional. A key that is not known is an error: it is a typing mistake. */
export function table<Shape extends Record<string, AnyReader>>(
  shape: Shape,
): Reader<
  { [K in keyof Shape]?: OutputOf<Shape[K]> },
  { readonly [K in keyof Shape]?: InputOf<Shape[K]> | undefined }
> {
  return (value, path) => {
    if (!isTable(value)) throw wrong(path || 'the policy', value, 'a table');
    const result: { [K in keyof Shape]?: OutputOf<Shape[K]> } = {};
    for (const [key, item] of Object.entries(value)) {
      const keyPath = path === '' ? key : `${path}.${key}`;
      const reader = Object.hasOwn(shape, key) ? shape[key] : undefined;
      if (reader === undefined) {
        throw new PolicyError(
          `policy: ${keyPath} is not known; known here: ${Object.keys(shape).join(', ')}`,
        );
      }
      if (item !== undefined) result[key as keyof Shape] = reader(item, keyPath);
    }
    return result;
  };
}

/** A table whose keys are names of the writer's choice. A Map, because a user may be called `constructor`. */
export function named<Output, Input>(
  reader: Reader<Output, Input>,
): Reader<Map<string, Output>, Readonly<Record<string, Input>>> {
  return (value, path) => {
    if (!isTable(value)) throw wrong(path, value, 'a table');
    return new Map(Object.entries(value).map(([key, item]) => [key, reader(item, `${path}.${key}`)]));
  };
}

/** A table of strings, for gRPC and protobuf maps. */
export const strings: Reader<Record<string, string>, Readonly<Record<string, string>>> = (value, path) =>
  Object.fromEntries(named(text)(value, path));
