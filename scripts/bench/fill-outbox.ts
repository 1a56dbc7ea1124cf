/**
 * Puts 2,000 events into a new state, as 1,000 connects and then their disconnects would, in a process of its own:
 *
 *   OCAGENT_CONFIG=FILE node scripts/bench/fill-outbox.ts
 */
import { configFile, loadConfig } from '../../src/config/load.ts';
import { recordConnect, recordEnd } from '../../src/events/record.ts';
import type { Decision } from '../../src/policy/types.ts';
import { sessionIdOf } from '../../src/state/sessions.ts';
import { CHECKPOINT_PAGES } from '../../src/state/state.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { openState } from './open-state.ts';
import { SESSIONS } from './outbox-size.ts';

const DECISION: Decision = {
  allowed: true,
  source: 'portal',
  reason: '',
  cache: { state: 'miss', ageSeconds: null },
  breaker: 'closed',
  portalError: null,
  routes: ['10.0.0.0/8'],
  dnsServers: ['10.0.0.53'],
  shouldDisconnect: false,
};
const METADATA = {
  device_type: 'linux-64',
  device_platform: 'linux-64',
  user_agent: 'Open AnyConnect VPN Agent v9.12',
  hostname: 'laptop',
};

const config = await loadConfig(configFile());
const state = await openState({
  path: config.state.path,
  create: true,
  patience: 10_000,
  checkpointPages: CHECKPOINT_PAGES,
});
await state.step((tx) => {
  for (let index = 0; index < SESSIONS; index++) begin(tx, index);
  for (let index = 0; index < SESSIONS; index++) end(tx, index);
});
if (state.unrecorded !== null) throw new Error(`the state could not be written: ${state.unrecorded}`);

function begin(tx: Transaction, index: number): void {
  const { ocservId, ...session } = sessionOf(index);
  const request = {
    ...session,
    groupname: 'staff',
    clientIp: '198.51.100.7',
    vpnIp: `10.200.${index >> 8}.${index & 255}`,
    device: `vpns${index}`,
    sessionId: sessionIdOf(ocservId, tx.now.wall),
  };
  recordConnect(tx, DECISION, true, request, { ocservId, metadata: METADATA }, config, false);
}

function end(tx: Transaction, index: number): void {
  const counted = {
    bytesIn: String(2n ** 33n + BigInt(index)),
    bytesOut: String(2n ** 35n + BigInt(index)),
    durationSeconds: '1',
    tunnel: null,
  };
  recordEnd(
    tx,
    { ...sessionOf(index), ...counted, metadata: METADATA, reason: 'UNSPECIFIED' },
    config,
    false,
  );
}

function sessionOf(index: number) {
  return { ocservId: `${10_000 + index}`, username: `user${index}`, vhost: 'default', vhostNamed: false };
}
