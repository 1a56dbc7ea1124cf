import { giveLeadBack, holdsLead, type Leader, leaderOf, takeLead } from '../state/leader.ts';
import { answerTo, ask, goAlone, type Question, whoWaits, withdraw } from '../state/questions.ts';
import type { Transaction } from '../state/transaction.ts';
import type { Request } from './types.ts';

/**
 * How a process gets the portal's answer. Loading what talks to it and shaking hands costs more than all else that a hook does, so of those that
 * want to ask at the same moment one leads: it asks for the others, too.
 */
export type Way =
  /** By a call of its own. `question` is what it has waited with in vain. */
  | { readonly kind: 'alone'; readonly question: Question | null }
  /** By a call of its own, and for the siblings. */
  | { readonly kind: 'lead'; readonly term: number }
  | {
      readonly kind: 'wait';
      readonly question: Question;
      readonly leader: Leader;
      /** Which portal it asks: it counts no longer once somebody leads for another. */
      readonly portal: string;
      /** Monotonic milliseconds until when the question must have been taken, or another way is looked for. */
      readonly takenBy: number;
    };

export const ALONE: Way = { kind: 'alone', question: null };

/**
 * Processes that make a call of their own beside a leader that is too slow for them, for each processor. Each needs some 60 ms of
 * CPU for TLS and HTTP/2: of hundreds at once none would be served in time.
 */
const ALONE_PER_CPU = 4;

/** Whether a process can ask for siblings: meanwhile, or also once its own decision stands. */
export type MayLead = 'no' | 'meanwhile' | 'afterwards';

/** How soon one for whom there was no place beside the leader looks for one again. */
const PLACE_MS = 1_000;

/** Until when a leader is waited for, in whole monotonic milliseconds. */
export interface WaitLimits {
  /** By then it must have taken the question, or there would be no time for a call of one's own. */
  readonly takenBy: number;
  /** By then nobody needs an answer any more. */
  readonly answeredBy: number;
}

export interface WayMeans {
  /** Which portal is asked, and how, as of now (src/portal/identity.ts): processes that agree in it can ask for each other. */
  readonly portal: () => string;
  readonly waitLimits: WaitLimits;
  readonly mayLead: MayLead;
  /** This process has a connection to the portal already: it looks for nobody else's. */
  readonly isConnected?: boolean;
  /** Others will want to ask as well, even if none does yet. */
  readonly expectsSiblings: boolean;
}

/**
 * @param number of the sequence, for a new question.
 * @param waiting the question that this process has waited with so far.
 */
export function wayToPortal(
  tx: Transaction,
  number: number,
  request: Request,
  waiting: Question | null,
  { portal: portalNow, waitLimits, mayLead }: WayMeans,
): Way {
  const portal = portalNow();
  const leader = leaderOf(tx, portal);
  const known = waiting !== null && answerTo(tx, waiting, leader?.term ?? null) !== 'gone' ? waiting : null;
  if (leader === null) {
    if (known !== null) withdraw(tx, known);
    if (mayLead === 'no') return ALONE;
    return { kind: 'lead', term: takeLead(tx, portal) };
  }
  const isLate = tx.now.mono >= waitLimits.takenBy;
  if (isLate) {
    if (known === null) return ALONE;
    if (goAlone(tx, known, ALONE_PER_CPU * cpus())) return { kind: 'alone', question: known };
  }
  const question = known ?? ask(tx, number, JSON.stringify(request), waitLimits.answeredBy);
  const takenBy = isLate ? Math.min(tx.now.mono + PLACE_MS, waitLimits.answeredBy) : waitLimits.takenBy;
  return { kind: 'wait', question, leader, portal, takenBy };
}

/** Fetched, not imported: hardly any hook comes here. */
function cpus(): number {
  return process.getBuiltinModule('node:os').availableParallelism();
}

export interface Left {
  /** The term, where this process goes on leading: others wait, or will. */
  readonly leads: number | null;
  /** Who must take the lead instead. */
  readonly wakes: number | null;
}

/** The process has its answer: what it leaves behind on its way. */
export function leaveWay(tx: Transaction, way: Way, { mayLead, expectsSiblings }: WayMeans): Left {
  switch (way.kind) {
    case 'alone':
    case 'wait':
      if (way.question !== null) withdraw(tx, way.question);
      return { leads: null, wakes: null };
    case 'lead': {
      if (!holdsLead(tx, way.term)) return { leads: null, wakes: null };
      const waits = whoWaits(tx);
      const isWanted = waits !== null || expectsSiblings;
      if (isWanted && mayLead === 'afterwards') return { leads: way.term, wakes: null };
      giveLeadBack(tx, way.term);
      return { leads: null, wakes: waits };
    }
  }
}
