import type { Config } from '../../src/config/schema.ts';
import type { CounterName } from '../../src/metrics/catalogue.ts';
import { type Decided, decide } from '../../src/policy/decide.ts';
import type { Means } from '../../src/policy/means.ts';
import type { Answer, Decision, Failure, PortalResult, Request } from '../../src/policy/types.ts';
import { total } from '../../src/state/counters.ts';
import type { State } from '../../src/state/state.ts';
import type { StateUnusable } from '../../src/state/unusable.ts';

export const ALICE: Request = {
  vhost: 'default',
  vhostNamed: false,
  username: 'alice',
  groupname: 'staff',
  clientIp: '192.0.2.1',
  vpnIp: '10.200.0.5',
  device: 'vpns0',
  sessionId: '14304-1795428000',
};

export function answer(allowed: boolean, rest: Partial<Answer> = {}): { answer: Answer } {
  return {
    answer: {
      allowed,
      reason: allowed ? '' : 'account locked',
      routes: allowed ? ['10.0.0.0/8'] : [],
      dnsServers: allowed ? ['10.0.0.53'] : [],
      shouldDisconnect: false,
      cacheTtl: 'none',
      storable: true,
      ...rest,
    },
  };
}

export const ALLOW = answer(true);
export const DENY = answer(false);

export function failure(counts: Failure['counts'], code = 'UNAVAILABLE'): { failure: Failure } {
  return { failure: { code, detail: 'connection refused', cure: '', counts, misconfigured: false } };
}

/** Not reached at all: no user could have provoked that. */
export const AWAY = failure('unreached');
export const PROVOKED = failure('provokable', 'INTERNAL');

/** One hook after the other on one state: each says what the portal would answer it, were it asked. */
export class Server {
  readonly decisions: Decision[] = [];
  readonly lost: StateUnusable[] = [];
  readonly provisional: Decision[] = [];
  asked = 0;
  state: State | null;
  config: Config;

  constructor(state: State | null, config: Config) {
    this.state = state;
    this.config = config;
  }

  means(portal: PortalResult | (() => Promise<PortalResult>), rest: Partial<Means> = {}): Means {
    return {
      config: this.config,
      state: this.state,
      bypassCache: false,
      waitLimits: { takenBy: 0, answeredBy: 0 },
      mayLead: 'meanwhile',
      expectsSiblings: false,
      portal: () => 'the portal',
      record: (_tx, decision) => this.decisions.push(decision),
      onStateLost: (error) => this.lost.push(error),
      onProvisional: (decision) => this.provisional.push(decision),
      askPortal: async () => {
        this.asked++;
        return typeof portal === 'function' ? portal() : portal;
      },
      ...rest,
    };
  }

  async connect(
    portal: PortalResult | (() => Promise<PortalResult>),
    request: Partial<Request> = {},
    rest: Partial<Means> = {},
  ): Promise<Decision> {
    return (await this.decided(portal, request, rest)).decision;
  }

  decided(
    portal: PortalResult | (() => Promise<PortalResult>),
    request: Partial<Request> = {},
    rest: Partial<Means> = {},
  ): Promise<Decided> {
    return decide({ ...ALICE, ...request }, this.means(portal, rest));
  }

  /** How often the portal was asked while `work` ran. */
  async askedDuring(work: () => Promise<unknown>): Promise<number> {
    const before = this.asked;
    await work();
    return this.asked - before;
  }

  async total(name: CounterName): Promise<number> {
    if (this.state === null) throw new Error('there is no state to count in');
    return this.state.step((tx) => total(tx, name));
  }
}
