/** What the development portal is told to answer: the form of the policy file. policy.toml explains it by example. */
import { parse, TomlError } from 'smol-toml';
import {
  boolean,
  duration,
  type InputOf,
  named,
  networks,
  type OutputOf,
  PolicyError,
  statusCode,
  strings,
  table,
  text,
  texts,
} from './schema.ts';

export { PolicyError } from './schema.ts';

const RPC_NAMES = [
  'CheckPolicy',
  'ValidateSession',
  'ReportConnect',
  'ReportDisconnect',
  'ReportSessionUpdate',
] as const;
export type RpcName = (typeof RPC_NAMES)[number];

const faults = { delay: duration, error: statusCode, error_message: text };

const rpcOrders = table({
  ...faults,
  success: boolean,
  message: text,
  should_disconnect: boolean,
  disconnect_reason: text,
  updated_routes: texts,
});

const rpcs = table({
  CheckPolicy: rpcOrders,
  ValidateSession: rpcOrders,
  ReportConnect: rpcOrders,
  ReportDisconnect: rpcOrders,
  ReportSessionUpdate: rpcOrders,
} satisfies Record<RpcName, typeof rpcOrders>);

const ruleKeys = {
  ...faults,
  allowed: boolean,
  reason: text,
  networks,
  routes: texts,
  dns_servers: texts,
  should_disconnect: boolean,
  metadata: strings,
  valid: boolean,
  invalid_reason: text,
  force_disconnect: boolean,
  rpc: rpcs,
};

const policy = table({
  ...faults,
  down: boolean,
  rpc: rpcs,
  default: table(ruleKeys),
  groups: named(table(ruleKeys)),
  users: named(table({ ...ruleKeys, groups: texts })),
});

export type RpcOrders = OutputOf<typeof rpcOrders>;
export type Policy = OutputOf<typeof policy>;
/** As the TOML file has it, for tests that write their policy in TypeScript. */
export type PolicyInput = InputOf<typeof policy>;

/** Reads a policy from TOML text or from the same tables as objects. Throws `PolicyError`. */
export function readPolicy(source: string | PolicyInput): Policy {
  if (typeof source !== 'string') return policy(source, '');
  // An editor that truncates before it writes must not deny everyone for a moment.
  if (source.trim() === '')
    throw new PolicyError('policy: the file is empty; see scripts/portal/policy.toml');
  try {
    return policy(parse(source), '');
  } catch (error) {
    if (error instanceof TomlError) throw new PolicyError(`policy: ${error.message}`);
    throw error;
  }
}
