import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import type { StateUnusable } from '../state/unusable.ts';
import type { Conditions } from './decision.ts';
import type { Decision, PortalResult } from './types.ts';
import type { WayMeans } from './way.ts';

/** What a decision needs from outside. */
export interface Means extends Conditions, WayMeans {
  /** Null when it cannot be used; why was reported when it was opened. */
  readonly state: State | null;
  /**
   * By a call of this process' own.
   * @param atMost milliseconds that the call may take, besides all other bounds.
   * @param term under which it leads: siblings may ask it meanwhile. Null when it does not.
   */
  readonly askPortal: (atMost: number, term: number | null) => Promise<PortalResult>;
  /** Told before it waits for what a sibling asks the portal. */
  readonly onWaiting?: () => void;
  /** What else belongs to the decision: it is recorded in the very transaction that makes it final. */
  readonly record: (tx: Transaction, decision: Decision) => void;
  readonly onStateLost: (error: StateUnusable) => void;
  /** Told what the decision would be if nothing more became known: a deadline that cuts in answers with that. */
  readonly onProvisional: (decision: Decision) => void;
}
