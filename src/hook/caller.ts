import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import type { PortalResult, Request } from '../policy/types.ts';
import type { MayLead } from '../policy/way.ts';
import type { StateOptions } from '../state/open.ts';
import type { State } from '../state/state.ts';

/**
 * Who wants a call answered, and what he is answered with: a hook's own process, for itself (own-call.ts), or a drain, for a launcher that has
 * handed its call over (src/drain/).
 */
export interface Caller {
  /** Of the process that ocserv has started: the launcher's, or that of who has started this one without. */
  readonly pid: number;
  /** An earlier try was killed: it may have recorded the call all the same. */
  readonly isAgain: boolean;
  /** Whether who waits for the answer can start a drain. */
  readonly canStartDrain: boolean;
  /** Milliseconds since the kernel made the caller, by a clock that nobody can set. */
  elapsed(): number;
  /** Milliseconds that are over of `hook.deadline`: it counts from the caller's turn on a busy machine. */
  spent(): number;
  /** Whether this machine is so busy that siblings are to be expected. To be asked before anything is waited for. */
  isLate(): boolean;
  /** @throws {StateUnusable} */
  openState(options: StateOptions): Promise<State>;
  portal(config: Config, log: Log): PortalAccess;
  /** Something else than the processor is waited for from here on, or nothing any more: the next hook may start. Only the first call counts. */
  leaveSlot(): void;
  /**
   * From here on the answer is this process' to give. To be called before anything that outlives the call is done, in its very transaction.
   * May be called again.
   * @throws where the caller has stopped waiting and goes on by itself: then nothing may be recorded.
   */
  commit(): void;
}

/** How the portal is asked. */
export interface PortalAccess {
  readonly mayLead: MayLead;
  /** There is a connection already: nobody else's need be looked for. */
  readonly isConnected: boolean;
  /**
   * @param atMost milliseconds that the call may take, besides what the deadline leaves.
   * @param term under which this process leads; null when it does not.
   */
  ask(request: Request, atMost: number, term: number | null): Promise<PortalResult>;
  /** Goes on for those that wait, until nobody does. */
  stay(term: number): Promise<void>;
}
