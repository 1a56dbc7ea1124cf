import type { Config } from '../config/schema.ts';
import type { Log } from '../log/log.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { portalIdentity } from '../portal/identity.ts';
import { leaderOf, takeLead } from '../state/leader.ts';
import { isAsking } from '../state/questions.ts';
import type { State } from '../state/state.ts';
import type { Transaction } from '../state/transaction.ts';
import { rouse, sleepUntilWoken } from '../state/wake.ts';
import { Server } from './serve.ts';

/** How often it is looked whether somebody leads. */
const LOOK_MS = 250;

/**
 * Leads beside some work that has a connection to the portal anyway: while a drain is there, no hook needs one of its own. It neither
 * fails the work nor outlasts it by more than the calls that are on their way.
 * @param openState for it alone: with a patience of its own, as nobody may have to wait for the other's.
 * @param portalFailed the portal has failed over another call of this connection: whoever asks next does so over a new one.
 * @param mayRelieve whether it may take the lead from a hook that has nothing on its way.
 */
export async function leadAlong<T>(
  work: () => Promise<T>,
  config: Config,
  openState: () => Promise<State>,
  calls: PortalCalls,
  log: Log,
  portalFailed: AbortSignal,
  mayRelieve: () => boolean,
): Promise<T> {
  const leading = new Leading(config, openState, calls, mayRelieve);
  portalFailed.addEventListener('abort', () => leading.end());
  const done = leading
    .lead()
    .catch((error: unknown) =>
      log.warn('the portal cannot be asked for connects any more', { error: (error as Error).message }),
    );
  try {
    return await work();
  } finally {
    leading.end();
    await done;
  }
}

/** One term: a leader that was given up, because the portal failed or it was silent for too long, does not try again. */
class Leading {
  readonly #config: Config;
  readonly #openState: () => Promise<State>;
  readonly #calls: PortalCalls;
  readonly #mayRelieve: () => boolean;
  #isOver = false;
  #server: Server | null = null;

  constructor(
    config: Config,
    openState: () => Promise<State>,
    calls: PortalCalls,
    mayRelieve: () => boolean,
  ) {
    this.#config = config;
    this.#openState = openState;
    this.#calls = calls;
    this.#mayRelieve = mayRelieve;
  }

  async lead(): Promise<void> {
    const [config, calls] = [this.#config, this.#calls];
    // Now, as the connection's own files were read.
    const portal = portalIdentity(config);
    const state = await this.#openState();
    while (!this.#isOver) {
      const term = await state.step((tx) =>
        tx.writable && this.#isFree(tx, portal) ? takeLead(tx, portal) : null,
      );
      if (term !== null) {
        this.#server = new Server({
          config,
          state,
          term,
          calls,
          stoodBefore: calls.isConnected,
          mayLeave: () => this.#isOver,
        });
        if (this.#isOver) this.#server.retire();
        return this.#server.serve();
      }
      await sleepUntilWoken(LOOK_MS);
    }
  }

  /**
   * A hook that leads is relieved as soon as it has nothing on its way, if the connection here has just brought an answer: its own is no worse. Were
   * it waited for until it leaves by itself, the next hook would come just then, and make a connection of its own.
   */
  #isFree(tx: Transaction, portal: string): boolean {
    if (leaderOf(tx, portal) === null) return true;
    return this.#mayRelieve() && this.#calls.isProven && !isAsking(tx);
  }

  end(): void {
    this.#isOver = true;
    this.#server?.retire();
    rouse();
  }
}
