import type { Config } from '../config/schema.ts';
import { readRequest } from '../policy/portal-result.ts';
import type { PortalResult } from '../policy/types.ts';
import { callTime, outOfTime } from '../portal/ask.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { milliseconds, now } from '../state/clock.ts';
import { hurry } from '../state/hurry.ts';
import { giveLeadBack, holdsLead, SILENT_MS } from '../state/leader.ts';
import { answer, type OpenQuestion, type Question, takeQuestions, whoWaits } from '../state/questions.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { listenForWake, rouse, sleepUntilWoken, wake } from '../state/wake.ts';

/** Calls on their way at once, all over one connection: at first few, because a portal that is away must not cost dozens, */
const NARROWEST = 8;
/** then as many streams as most servers allow. */
const WIDEST = 100;
/** How often a leader with nothing to do looks whether there is something. It is woken for it. */
const LOOK_MS = 50;
/** How often it gives a sign of life while it waits for the portal. */
const SIGN_MS = SILENT_MS / 4;

export interface ServeMeans {
  readonly config: Config;
  /** Of this loop alone: what else the process does has a state of its own, and its own patience with it. */
  readonly state: State;
  /** Under which this process leads. */
  readonly term: number;
  readonly calls: PortalCalls;
  /**
   * Whether it may leave, idle for so many milliseconds. While this process' own connect is not answered it may not, whatever
   * happens.
   */
  readonly mayLeave: (idle: number) => boolean;
}

interface Answered {
  readonly question: Question;
  readonly result: PortalResult;
}

interface Turn {
  readonly questions: readonly OpenQuestion[];
  /** Whose answers are there now. */
  readonly wakes: readonly number[];
  readonly over: boolean;
}

/**
 * Asks the portal for those who have left a question, several at once over one connection, until nobody does any more. What came back
 * goes into the state, and what is asked comes out of it, in one short transaction. The lead is given back in the very
 * transaction that finds nothing left: whoever comes later sees that there is no leader.
 */
export class Server {
  readonly #means: ServeMeans;
  /** Questions that are being asked. */
  #onTheirWay = 0;
  #width = NARROWEST;
  /** What came back and is not in the state yet. */
  #answered: readonly Answered[] = [];
  /** The portal failed over one of them: whoever asks next does so over a new connection. */
  #retires = false;
  #idleSince = milliseconds();
  #calmDown: (() => void) | null = null;

  constructor(means: ServeMeans) {
    this.#means = means;
  }

  /** Takes no more questions: those that are on their way are answered, then the lead is given back. */
  retire(): void {
    this.#retires = true;
    rouse();
  }

  /** @throws {StateUnusable} */
  async serve(): Promise<void> {
    const { state } = this.#means;
    listenForWake();
    for (;;) {
      const answered = this.#answered;
      const turn = await state.step((tx) => this.#turn(tx, answered));
      // Where nothing can be written nobody can be answered: they ask by themselves.
      if (state.unrecorded !== null) return;
      this.#answered = this.#answered.slice(answered.length);
      this.#onTheirWay -= answered.length;
      for (const pid of turn.wakes) wake(pid);
      for (const question of turn.questions) void this.#ask(question);
      this.#hurryWhileAsked();
      if (turn.over) return;
      await sleepUntilWoken(this.#onTheirWay > 0 ? SIGN_MS : LOOK_MS);
      // What else came in the same moment.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #turn(tx: Transaction, answered: readonly Answered[]): Turn {
    const { term, mayLeave } = this.#means;
    const wakes = answered
      .filter(({ question, result }) => answer(tx, question, JSON.stringify(result)))
      .map(({ question }) => question.pid);
    if (!holdsLead(tx, term)) return { questions: [], wakes, over: true };
    const onTheirWay = this.#onTheirWay - answered.length;
    const questions = this.#retires ? [] : takeQuestions(tx, term, Math.max(0, this.#width - onTheirWay));
    const working = onTheirWay + questions.length > 0;
    if (working || answered.length > 0) this.#idleSince = milliseconds();
    if (working) return { questions, wakes, over: false };
    const over = mayLeave(this.#retires ? Number.POSITIVE_INFINITY : milliseconds() - this.#idleSince);
    if (!over) return { questions, wakes, over };
    giveLeadBack(tx, term);
    const waits = whoWaits(tx);
    return { questions, wakes: waits === null ? wakes : [...wakes, waits], over };
  }

  #hurryWhileAsked(): void {
    if (this.#onTheirWay > 0) this.#calmDown ??= hurry();
    else {
      this.#calmDown?.();
      this.#calmDown = null;
    }
  }

  async #ask(question: OpenQuestion): Promise<void> {
    this.#onTheirWay += 1;
    const { config, calls } = this.#means;
    const { budget, nominal } = callTime(config, question.until - now().mono);
    const result: PortalResult =
      budget > 0
        ? await calls.checkPolicy(readRequest(question.request), budget, nominal)
        : { failure: outOfTime('it waited for a sibling to ask') };
    // What this machine was too slow for says nothing of the line.
    if ('answer' in result) this.#width = Math.min(WIDEST, this.#width * 2);
    else if (result.failure.counts !== 'no') this.#retires = true;
    this.#answered = [...this.#answered, { question, result }];
    rouse();
  }
}
