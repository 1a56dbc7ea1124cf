import { isLoopback } from './address.ts';
import { isTable } from './field.ts';
import { type Config, isField, SCHEMA, type Table } from './schema.ts';

/** One thing wrong with the configuration. `keys` leads to its place in the file. */
export interface Problem {
  readonly keys: readonly string[];
  readonly message: string;
  /** An unknown key's siblings, of which the nearest is named; absent for other problems. */
  readonly known?: readonly string[];
}

/** Reads a parsed file against the schema. Every problem is found at once; `config` is null when there is one. */
export function readConfig(file: Record<string, unknown>): { config: Config | null; problems: Problem[] } {
  const problems: Problem[] = [];
  const config = readTable(file, SCHEMA as unknown as Table, [], problems) as Config;
  if (problems.length === 0) problems.push(...contradictions(config));
  return { config: problems.length === 0 ? config : null, problems };
}

function readTable(
  raw: Record<string, unknown>,
  table: Table,
  at: readonly string[],
  problems: Problem[],
): unknown {
  const values: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(table)) {
    const keys = [...at, key];
    const given = Object.hasOwn(raw, key) ? raw[key] : undefined;
    if (!isField(part)) {
      if (given !== undefined && !isTable(given)) {
        problems.push({ keys, message: `${keys.join('.')} is a table, not a value` });
      }
      values[key] = readTable(isTable(given) ? given : {}, part, keys, problems);
    } else if (given === undefined) {
      if (part.initial === undefined) {
        problems.push({ keys, message: `${keys.join('.')} is missing; accepted: ${part.accepts}` });
      }
      values[key] = part.initial;
    } else {
      values[key] = part.read(given);
      if (values[key] === undefined) {
        const shown = part.secret ? 'what is given' : display(given);
        problems.push({ keys, message: `${keys.join('.')}: cannot use ${shown}; accepted: ${part.accepts}` });
      }
    }
  }
  for (const key of Object.keys(raw)) {
    if (Object.hasOwn(table, key)) continue;
    const keys = [...at, key];
    problems.push({ keys, message: `unknown key ${keys.join('.')}`, known: Object.keys(table) });
  }
  return values;
}

function display(given: unknown): string {
  if (typeof given === 'number') return String(given);
  return (
    JSON.stringify(given, (_key, value) => (typeof value === 'bigint' ? value.toString() : value)) ?? 'it'
  );
}

/** What is wrong although each value alone is acceptable. */
function contradictions(config: Config): Problem[] {
  const problems: Problem[] = [];
  const { portal, resilience, hook, events, state, log } = config;
  if (portal.timeout >= hook.deadline) {
    problems.push({
      keys: ['portal', 'timeout'],
      message: 'portal.timeout must be below hook.deadline, or the deadline always answers first',
    });
  }
  if (resilience.cache.stale_ttl < resilience.cache.ttl) {
    problems.push({
      keys: ['resilience', 'cache', 'stale_ttl'],
      message: 'resilience.cache.stale_ttl must be at least resilience.cache.ttl: both count from the answer',
    });
  }
  if (events.retry_max < events.retry_initial) {
    problems.push({
      keys: ['events', 'retry_max'],
      message: 'events.retry_max must be at least events.retry_initial',
    });
  }
  if (!portal.tls.enabled && !portal.tls.insecure && !portal.address.every(isLoopback)) {
    problems.push({
      keys: ['portal', 'tls', 'enabled'],
      message:
        'portal.tls.enabled = false would send every decision in the clear to an address that is not loopback; ' +
        'set it to true, or say portal.tls.insecure = true if the network is protected otherwise',
    });
  }
  if (portal.tls.enabled && (portal.tls.cert_file === '') !== (portal.tls.key_file === '')) {
    problems.push({
      keys: ['portal', 'tls', 'cert_file'],
      message: 'portal.tls.cert_file and portal.tls.key_file go together: give both or neither',
    });
  }
  for (const [keys, path] of [
    [['state', 'path'], state.path],
    [['log', 'file'], log.file || '/'],
    [['portal', 'tls', 'ca_file'], portal.tls.ca_file || '/'],
    [['portal', 'tls', 'cert_file'], portal.tls.cert_file || '/'],
    [['portal', 'tls', 'key_file'], portal.tls.key_file || '/'],
  ] as const) {
    // ocserv runs a hook in whatever folder it was started in, so a relative path has no meaning there.
    if (!path.startsWith('/')) {
      problems.push({
        keys,
        message: `${keys.join('.')} must be an absolute path, not ${JSON.stringify(path)}`,
      });
    }
  }
  return problems;
}
