import type { Config } from '../config/schema.ts';
import type { Caller, PortalAccess } from '../hook/caller.ts';
import { LATE_MS } from '../hook/elapsed.ts';
import { isOurSlowness } from '../leader/serve.ts';
import type { PortalResult, Request } from '../policy/types.ts';
import { askPortal } from '../portal/ask.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { openPortal } from '../portal/load.ts';
import { milliseconds } from '../state/clock.ts';
import type { StateOptions } from '../state/open.ts';
import type { OpenStates } from '../state/open-states.ts';
import type { State } from '../state/state.ts';
import { type Answer, TakenBack } from './answer.ts';
import type { ClosingLogs } from './closing-logs.ts';
import type { HandedOver } from './handed-over.ts';
import type { Strikes } from './strikes.ts';
import type { Turnstile } from './turnstile.ts';

/** This process is not the one to answer: the launcher is to start one of its own. */
export class Declined extends Error {}

/** What all calls that are handed over have in common. */
export interface Shared {
  readonly states: OpenStates;
  readonly calls: PortalCalls;
  readonly turnstile: Turnstile;
  readonly strikes: Strikes;
  readonly logs: ClosingLogs;
  /** The portal has failed: who comes later makes a connection of his own. */
  onPortalFailed(): void;
  hasRetired(): boolean;
}

/** A launcher that has handed its call over, and waits. */
export class HandedOverCaller implements Caller {
  readonly pid: number;
  readonly isAgain: boolean;
  readonly canStartDrain = true;
  readonly #call: HandedOver;
  readonly #answer: Answer;
  readonly #shared: Shared;

  constructor(call: HandedOver, answer: Answer, shared: Shared) {
    this.pid = call.pid;
    this.isAgain = call.isAgain;
    this.#call = call;
    this.#answer = answer;
    this.#shared = shared;
  }

  elapsed(): number {
    return milliseconds() - this.#call.start.at;
  }

  spent(): number {
    return this.elapsed() - this.#call.start.waited;
  }

  isLate(): boolean {
    return this.elapsed() > LATE_MS;
  }

  openState(options: StateOptions): Promise<State> {
    return this.#shared.states.open(options);
  }

  portal(config: Config): PortalAccess {
    return new SharedPortalAccess(config, this, this.#answer, this.#shared);
  }

  /** It has none: the launcher has left it before it handed the call over. */
  leaveSlot(): void {}

  commit(): void {
    this.#answer.claim();
  }
}

/** Over the drain's own connection. */
class SharedPortalAccess implements PortalAccess {
  readonly mayLead = 'no';
  readonly isConnected = true;
  readonly #config: Config;
  readonly #caller: Caller;
  readonly #answer: Answer;
  readonly #shared: Shared;

  constructor(config: Config, caller: Caller, answer: Answer, shared: Shared) {
    this.#config = config;
    this.#caller = caller;
    this.#answer = answer;
    this.#shared = shared;
  }

  /**
   * @throws {Declined} where another connection may do better, but for a trial's call: its place could not be given back.
   * @throws {TakenBack}
   */
  async ask(request: Request, atMost: number): Promise<PortalResult> {
    const { calls, turnstile, strikes } = this.#shared;
    const isTrial = Number.isFinite(atMost);
    const since = milliseconds();
    const hasWaited = await turnstile.enter();
    let answered = false;
    try {
      // Whether its launcher is still there is seen once more before anything is recorded.
      if (hasWaited ? this.#answer.isTakenBack : this.#answer.isThere) throw new TakenBack();
      if (this.#shared.hasRetired() && !isTrial) throw new Declined();
      const hadConnection = calls.isConnected;
      const left = atMost - (milliseconds() - since);
      const spent = this.#caller.spent();
      if (isTrial && !calls.isProven) {
        const tried = await this.#try(request, spent, left);
        answered = 'answer' in tried;
        if ('failure' in tried && !isOurSlowness(tried.failure)) this.#shared.onPortalFailed();
        return tried;
      }
      const result = await askPortal(this.#config, request, spent, left, async () => calls);
      answered = 'answer' in result;
      if (answered) strikes.answered();
      if ('answer' in result || isOurSlowness(result.failure)) return result;
      const verdict = strikes.failed(request.username, result.failure);
      if (verdict === 'nobody') return result;
      if (verdict === 'everybody') this.#shared.onPortalFailed();
      else if (!isTrial) throw new Declined();
      // A connection that stood may have died without a word: a second call will show.
      if (hadConnection && !isTrial && result.failure.code === 'DEADLINE_EXCEEDED') throw new Declined();
      return result;
    } finally {
      turnstile.leave(answered);
    }
  }

  /** Over a connection of its own: the one that stands may be as old as the outage, and a trial that dies with it would close the portal to all. */
  async #try(request: Request, spent: number, atMost: number): Promise<PortalResult> {
    const own = await openPortal(this.#config);
    try {
      return await askPortal(this.#config, request, spent, atMost, async () => own);
    } finally {
      own.close();
    }
  }

  /** It never leads by this, but beside its own work (src/leader/along.ts). */
  async stay(): Promise<void> {}
}
