import { addresses } from './address.ts';
import { choice, duration, type Field, flag, secrets, text, texts, url, whole } from './field.ts';

/**
 * Every key of config.toml, with its default and what it accepts. Keys are named here as the file names them, so
 * that a value has one name from the file to the line that uses it. Durations are milliseconds once read.
 */
export const SCHEMA = {
  agent_id: text(''),
  portal: {
    address: addresses,
    timeout: duration('3s', '100ms', '5m'),
    tls: {
      enabled: flag(true),
      insecure: flag(false),
      ca_file: text('/etc/ocagent-hook/ca.crt'),
      cert_file: text('/etc/ocagent-hook/agent.crt'),
      key_file: text('/etc/ocagent-hook/agent.key'),
      server_name: text(''),
      min_version: choice('TLS1.3', 'TLS1.2', 'TLS1.3'),
    },
  },
  resilience: {
    fail_mode: choice('stale', 'open', 'close', 'stale'),
    emergency_users: texts([]),
    circuit_breaker: {
      max_requests: whole(5, 1, 1_000),
      interval: duration('30s', '1s', '1d'),
      timeout: duration('60s', '1s', '1d'),
      failure_threshold: whole(3, 1, 1_000),
    },
    cache: {
      ttl: duration('5m', '0s', '30d'),
      deny_ttl: duration('30s', '0s', '30d'),
      stale_ttl: duration('30m', '0s', '30d'),
      max_size: whole(10_000, 1, 10_000_000),
    },
  },
  state: {
    path: text('/var/lib/ocagent-hook/state.db'),
  },
  hook: {
    mode: choice('enforce', 'enforce', 'observe'),
    deadline: duration('8s', '1s', '5m'),
  },
  events: {
    enabled: flag(true),
    max_pending: whole(100_000, 1, 10_000_000),
    retry_initial: duration('1s', '100ms', '1h'),
    retry_max: duration('5m', '1s', '1d'),
  },
  ocserv: {
    occtl: text('occtl'),
    occtl_socket: text(''),
  },
  sessions: {
    keep: duration('30d', '1h', '3650d'),
  },
  telemetry: {
    enabled: flag(true),
    endpoint: url('http://127.0.0.1:4318/v1/metrics'),
    headers: secrets({}),
    interval: duration('15s', '1s', '1d'),
    timeout: duration('5s', '100ms', '5m'),
  },
  log: {
    level: choice('info', 'debug', 'info', 'warn', 'error'),
    format: choice('json', 'json', 'text'),
    file: text(''),
  },
} as const;

type ValuesOf<S> = { readonly [K in keyof S]: S[K] extends Field<infer T> ? T : ValuesOf<S[K]> };

export type Config = ValuesOf<typeof SCHEMA>;

/** A table of the schema: its keys are fields or tables. */
export interface Table {
  readonly [key: string]: Field<unknown> | Table;
}

export function isField(part: Field<unknown> | Table): part is Field<unknown> {
  return typeof part['read'] === 'function';
}
