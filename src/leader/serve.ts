import type { Config } from '../config/schema.ts';
import { outOfTime } from '../policy/out-of-time.ts';
import { readRequest } from '../policy/portal-result.ts';
import type { Failure, PortalResult } from '../policy/types.ts';
import { callTime } from '../portal/ask.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { NARROWEST, wider } from '../portal/width.ts';
import { milliseconds, now } from '../state/clock.ts';
import { hurry } from '../state/hurry.ts';
import { giveLeadBack, holdsLead, SILENT_MS } from '../state/leader.ts';
import {
  answer,
  answerFailed,
  type OpenQuestion,
  putBack,
  type Question,
  takeQuestions,
  whoWaits,
} from '../state/questions.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { StateUnusable } from '../state/unusable.ts';
import { listenForWake, rouse, sleepUntilWoken, wake } from '../state/wake.ts';

/** How often a leader with nothing to do looks whether there is something. It is woken for it. */
const LOOK_MS = 50;
/** Milliseconds that a call may take beyond portal.timeout: for what is looked at when it has failed, on a slow machine. */
const GRACE_MS = 5_000;
/** How often it gives a sign of life while it waits for the portal. */
const SIGN_MS = SILENT_MS / 4;

export interface ServeMeans {
  readonly config: Config;
  /** Of this loop alone, with a patience of its own: what else the process does has another, also where both go over one connection. */
  readonly state: State;
  /** Under which this process leads. */
  readonly term: number;
  readonly calls: PortalCalls;
  /** The connection is older than this term: nobody has looked since whether it still stands. */
  readonly stoodBefore: boolean;
  /** Whether it may leave, idle for so many milliseconds. */
  readonly mayLeave: (idle: number) => boolean;
}

interface Answered {
  readonly question: Question;
  /** Null where the next leader must ask it again. */
  readonly result: PortalResult | null;
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
  /** Since when it takes no more. The portal failed over one of them, say: whoever asks next does so over a new connection. */
  #retiredAt: number | null = null;
  #idleSince = milliseconds();
  #calmDown: (() => void) | null = null;
  /** Of this connection nothing is known but that it stood once. */
  #isUnproven: boolean;

  constructor(means: ServeMeans) {
    this.#means = means;
    this.#isUnproven = means.stoodBefore;
  }

  /** Takes no more questions: those that are on their way are answered, then the lead is given back. */
  retire(): void {
    this.#takeNoMore();
    rouse();
  }

  get #retires(): boolean {
    return this.#retiredAt !== null;
  }

  #takeNoMore(): void {
    this.#retiredAt ??= milliseconds();
  }

  /** What is on its way should have been over long ago. Whoever leads and takes no questions keeps others from leading, so it goes all the same. */
  get #isStuck(): boolean {
    const since = this.#retiredAt ?? Number.POSITIVE_INFINITY;
    return milliseconds() - since > this.#means.config.portal.timeout + GRACE_MS;
  }

  /** @throws {StateUnusable} also where nothing can be written: then nobody can be answered, and those that wait ask by themselves. */
  async serve(): Promise<void> {
    listenForWake();
    try {
      while (!(await this.#takeTurn())) {
        await sleepUntilWoken(this.#onTheirWay > 0 ? SIGN_MS : LOOK_MS);
        // What else came in the same moment.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#calmDown?.();
    }
  }

  /** @returns whether it was the last. */
  async #takeTurn(): Promise<boolean> {
    const { state } = this.#means;
    const answered = this.#answered;
    const turn = await state.step((tx) => this.#turn(tx, answered));
    if (state.unrecorded !== null) throw new StateUnusable(`it cannot be written: ${state.unrecorded}`, '');
    this.#answered = this.#answered.slice(answered.length);
    this.#onTheirWay -= answered.length;
    for (const pid of turn.wakes) wake(pid);
    for (const question of turn.questions) void this.#ask(question);
    this.#hurryWhileAsked();
    return turn.over;
  }

  #turn(tx: Transaction, answered: readonly Answered[]): Turn {
    const { term, mayLeave } = this.#means;
    const wakes: number[] = [];
    for (const { question, result } of answered) {
      if (result === null) putBack(tx, question, term);
      else if (this.#give(tx, question, result)) wakes.push(question.pid);
    }
    if (!holdsLead(tx, term)) return { questions: [], wakes, over: true };
    const onTheirWay = this.#onTheirWay - answered.length;
    const questions = this.#retires ? [] : takeQuestions(tx, term, Math.max(0, this.#width - onTheirWay));
    const working = onTheirWay + questions.length > 0;
    if (working || answered.length > 0) this.#idleSince = milliseconds();
    if (working && !this.#isStuck) return { questions, wakes, over: false };
    const over = this.#retires || mayLeave(milliseconds() - this.#idleSince);
    if (!over) return { questions, wakes, over };
    giveLeadBack(tx, term);
    const waits = whoWaits(tx);
    return { questions, wakes: waits === null ? wakes : [...wakes, waits], over };
  }

  /** @returns whether somebody waits for it. */
  #give(tx: Transaction, question: Question, result: PortalResult): boolean {
    const text = JSON.stringify(result);
    return 'answer' in result
      ? answer(tx, question, text)
      : answerFailed(tx, question, text, this.#means.term);
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
    const { calls } = this.#means;
    const hadConnection = calls.isConnected;
    const result = await this.#resultOf(question).catch(
      // Its process goes by its own judgement, as if it had not been asked.
      (error: unknown): PortalResult => ({ failure: fault(String(error)) }),
    );
    if ('answer' in result) {
      this.#width = wider(this.#width);
      this.#isUnproven = false;
    }
    // What this machine was too slow for says nothing of the connection, and anything else may be over with a new one.
    else if (!isOurSlowness(result.failure)) this.#takeNoMore();
    const again =
      isWithoutAnswer(result) && hadConnection && (question.again === 0 || this.#mayBeDead(result));
    this.#answered = [...this.#answered, { question, result: again ? null : result }];
    rouse();
  }

  /**
   * A connection that stood may have died without a word, or this machine was too slow, and nobody else is to blame: a second call will show. It
   * shows nothing over one of which no more is known either; then the next leader's will.
   */
  #mayBeDead(result: PortalResult): boolean {
    return this.#isUnproven && 'failure' in result && !isOurSlowness(result.failure);
  }

  async #resultOf({ request, until }: OpenQuestion): Promise<PortalResult> {
    const { config, calls } = this.#means;
    const { budget, nominal } = callTime(config, until - now().mono);
    if (budget <= 0) return { failure: outOfTime('it waited for a sibling to ask') };
    return calls.checkPolicy(readRequest(request), budget, nominal);
  }
}

function isWithoutAnswer(result: PortalResult): boolean {
  return 'failure' in result && result.failure.code === 'DEADLINE_EXCEEDED';
}

/** A failure that tells of this machine alone, which was too busy to run the call. */
export function isOurSlowness({ code, counts }: Failure): boolean {
  return code === 'DEADLINE_EXCEEDED' && counts === 'no';
}

function fault(detail: string): Failure {
  return { code: 'LOCAL', detail, cure: '', counts: 'no', misconfigured: false };
}
