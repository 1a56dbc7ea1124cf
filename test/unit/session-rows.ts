import type { Listed } from '../../src/ocserv/occtl.ts';
import type { SessionEnd } from '../../src/state/session-end.ts';
import { beginSession, type NewSession, sessionIdOf } from '../../src/state/sessions.ts';
import type { Transaction } from '../../src/state/transaction.ts';
import { at } from './fixture.ts';

/** One that began at `at(0)`. */
export const SESSION: NewSession = {
  sessionId: sessionIdOf('14304', at(0).wall),
  ocservId: '14304',
  vhost: 'default',
  vhostNamed: false,
  username: 'alice',
  groupname: 'staff',
  clientIp: '192.0.2.1',
  vpnIp: '10.200.0.5',
  device: 'vpns0',
  source: 'portal',
  routes: ['10.0.0.0/8'],
  dnsServers: [],
  metadata: { user_agent: 'v9', hostname: 'laptop' },
};

/** Its end, as ocserv tells it after an hour. */
export const END: SessionEnd = {
  ocservId: '14304',
  vhost: 'default',
  vhostNamed: false,
  username: 'alice',
  reason: 'UNSPECIFIED',
  tunnel: null,
  bytesIn: '1',
  bytesOut: '2',
  durationSeconds: '3600',
  metadata: {},
};

/** It, as occtl lists it. */
export const LISTED: Listed = {
  id: '14304',
  username: 'alice',
  groupname: 'staff',
  vhost: 'default',
  state: 'connected',
  device: 'vpns0',
  remoteIp: '192.0.2.1',
  vpnIp: '10.200.0.5',
  connectedAt: at(0).wall,
  received: null,
  sent: null,
};

export function begin(tx: Transaction, more: Partial<NewSession> = {}): void {
  beginSession(tx, { ...SESSION, ...more });
}
