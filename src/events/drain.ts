import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import type { Failure } from '../policy/types.ts';
import type { PortalCalls } from '../portal/calls.ts';
import type { Reported } from '../portal/session-calls.ts';
import { backOff } from '../resilience/back-off.ts';
import { noteContact } from '../state/contact.ts';
import { drainStatus, giveLeaseBack, holdsLease } from '../state/drain.ts';
import { type DisconnectOrder, dueOrders, orderDone, postponeOrder } from '../state/orders.ts';
import { nextDue, type Queued } from '../state/outbox.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { isBreakerOpen } from './send-for-drain.ts';
import { describe, settleEvent } from './settle.ts';
import { tellOf } from './tell.ts';

/** Sessions of which an event may be on its way at once, all over one connection. */
const WIDEST = 32;
/** Calls in a row that failed, after which the portal is taken to be away. */
const STRIKES = 3;
/** How often an idle drain looks whether there is something new. */
const POLL_MS = 100;
/** How often one that waits for the portal looks after its lease. */
const CHECK_MS = 1_000;
/** After this a drain no longer lingers: the next one reads the configuration and the certificates anew. */
const RETIRES_AFTER_MS = 10 * 60_000;

export interface DrainMeans {
  readonly config: Config;
  readonly state: State;
  readonly log: Log;
  /** Of the lease that this process holds. */
  readonly term: number;
  readonly calls: PortalCalls;
  /** Ends sessions by the portal's orders. Never throws; gives those back that are done, and the others must be tried again. */
  readonly carryOut: (orders: readonly DisconnectOrder[]) => Promise<ReadonlySet<number>>;
  /** A person asked for it: the circuit breaker is not looked at. */
  readonly force: boolean;
  /** Whether it may leave, with nothing left for so many milliseconds: steady traffic is to start one drain and not many. */
  readonly mayLeave: (idle: number) => boolean;
}

export interface DrainReport {
  delivered: number;
  postponed: number;
  /** Set aside: the portal will never take them. */
  failed: number;
  orders: number;
  ended: 'idle' | 'portal away' | 'portal sick' | 'breaker open' | 'lease lost' | 'state not writable';
  /** Why the portal is taken to be away. */
  away: Failure | null;
}

/**
 * Delivers what is in the outbox until nothing is due, over one connection, several sessions at once and each in its order.
 * An event goes only when the portal took it, and all that is done is done under the lease: whoever has lost it changes nothing
 * any more. Gives the lease back in the very transaction that finds nothing left, so that a hook either still sees the
 * lease and its event is found, or starts the next drain.
 */
export function drain(means: DrainMeans): Promise<DrainReport> {
  return new Run(means).toItsEnd();
}

interface Answer {
  readonly queued: Queued;
  readonly reported: Reported;
}

interface Carried {
  readonly orders: readonly DisconnectOrder[];
  readonly done: ReadonlySet<number>;
}

interface Turn {
  readonly events: readonly Queued[];
  readonly orders: readonly DisconnectOrder[];
  readonly ended: DrainReport['ended'] | null;
}

class Run {
  readonly #means: DrainMeans;
  readonly #report: DrainReport = {
    delivered: 0,
    postponed: 0,
    failed: 0,
    orders: 0,
    ended: 'idle',
    away: null,
  };
  readonly #began = performance.now();
  /** Sessions of which an event is on its way. */
  readonly #busy = new Set<string>();
  /** Orders are being carried out: all that were due together, and the next ones after them. */
  #carrying = false;
  /** What came back and is not in the state yet. */
  #answers: readonly Answer[] = [];
  #carried: Carried | null = null;
  /** Begins with one: an address that cannot be reached must cost one call, not dozens. */
  #width = 1;
  #strikes = 0;
  /** It has taken, or at least answered, something. */
  #met = false;
  /** What it failed at last had reached it. */
  #reached = false;
  #idleSince: number | null = null;
  #wake: () => void = () => {};

  constructor(means: DrainMeans) {
    this.#means = means;
  }

  async toItsEnd(): Promise<DrainReport> {
    const { state, log } = this.#means;
    for (;;) {
      const answers = this.#answers;
      const carried = this.#carried;
      const turn = await state.step((tx) => this.#turn(tx, answers, carried));
      if (state.unrecorded !== null) {
        log.error('events cannot be delivered: the state cannot be written', { reason: state.unrecorded });
        return { ...this.#report, ended: 'state not writable' };
      }
      this.#answers = this.#answers.slice(answers.length);
      if (carried !== null) {
        this.#carried = null;
        this.#carrying = false;
      }
      for (const { queued } of answers) this.#busy.delete(queued.event.sessionId);
      if (turn.ended !== null) return { ...this.#report, ended: turn.ended };
      for (const queued of turn.events) void this.#send(queued);
      if (turn.orders.length > 0) void this.#carryOut(turn.orders);
      const idle = this.#busy.size === 0 && !this.#carrying;
      await this.#somethingBack(idle ? POLL_MS : CHECK_MS);
    }
  }

  /** Resolves when something has come back, with what came in the same moment; at the latest after so many milliseconds. */
  async #somethingBack(atMost: number): Promise<void> {
    if (this.#answers.length === 0 && this.#carried === null) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, atMost);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** One transaction: what came back goes into the state, and what is due comes out of it. */
  #turn(tx: Transaction, answers: readonly Answer[], carried: Carried | null): Turn {
    const { config, term, force } = this.#means;
    const nothing = { events: [], orders: [] };
    if (!holdsLease(tx, term)) return { ...nothing, ended: 'lease lost' };
    for (const { queued, reported } of answers) settleEvent(tx, queued, reported, config, Math.random());
    if (answers.some(({ reported }) => reported.kind !== 'failed')) noteContact(tx, null);
    const rules = { initial: config.events.retry_initial, max: config.events.retry_max };
    for (const order of carried?.orders ?? []) {
      if (carried?.done.has(order.id)) orderDone(tx, order);
      else postponeOrder(tx, order, backOff(order.attempts + 1, rules, Math.random()));
    }

    const returned = new Set(answers.map(({ queued }) => queued.event.sessionId));
    const busy = [...this.#busy].filter((session) => !returned.has(session));
    const carrying = this.#carrying && carried === null;
    const orders = carrying ? [] : dueOrders(tx, rules.max);
    const isOpen = !force && isBreakerOpen(tx, config);
    const maySend = config.events.enabled && this.#report.away === null && !isOpen;
    const events = maySend ? nextDue(tx, busy, Math.max(0, this.#width - busy.length)) : [];
    const working = events.length + orders.length + busy.length > 0 || carrying;
    if (working) {
      this.#idleSince = null;
      return { events, orders, ended: null };
    }

    const { away } = this.#report;
    // One that was met and then failed over some events is sick for these: they wait by themselves.
    if (away !== null && !(this.#met && this.#reached)) {
      const error = describe(away);
      noteContact(tx, error);
      const { failures } = drainStatus(tx);
      giveLeaseBack(tx, { portal: 'away', error, wait: backOff(failures + 1, rules, Math.random()) });
      return { ...nothing, ended: 'portal away' };
    }
    this.#idleSince ??= performance.now();
    const retired = performance.now() - this.#began > RETIRES_AFTER_MS;
    const mayLeave = this.#means.mayLeave(performance.now() - this.#idleSince);
    if (away === null && !isOpen && !retired && !mayLeave) return { ...nothing, ended: null };
    giveLeaseBack(tx, { portal: this.#met ? 'well' : 'not met' });
    return { ...nothing, ended: isOpen ? 'breaker open' : away === null ? 'idle' : 'portal sick' };
  }

  async #send(queued: Queued): Promise<void> {
    this.#busy.add(queued.event.sessionId);
    const reported = await this.#means.calls.report(queued.id, queued.event).catch(
      // A row that lacks what each has cannot become a message, today or later.
      (error: unknown): Reported => ({ kind: 'invalid', detail: `it cannot be sent: ${error}` }),
    );
    this.#judge(queued, reported);
    this.#answers = [...this.#answers, { queued, reported }];
    this.#wake();
  }

  async #carryOut(orders: readonly DisconnectOrder[]): Promise<void> {
    this.#carrying = true;
    const done = await this.#means.carryOut(orders);
    this.#report.orders += done.size;
    this.#carried = { orders, done };
    this.#wake();
  }

  /** What the answer says of the portal, and of whether to go on. */
  #judge(queued: Queued, reported: Reported): void {
    tellOf(this.#means.log, queued, reported);
    if (reported.kind === 'taken') this.#report.delivered += 1;
    else if (reported.kind === 'invalid') this.#report.failed += 1;
    else this.#report.postponed += 1;
    if (reported.kind !== 'failed') {
      this.#met = true;
      this.#strikes = 0;
      this.#width = Math.min(WIDEST, this.#width * 2);
      return;
    }
    this.#strikes += 1;
    this.#width = 1;
    this.#reached = reported.reached;
    if (!reported.reached || this.#strikes >= STRIKES) this.#report.away ??= reported.failure;
  }
}
