import type { Config } from '../config/schema.ts';
import { openState } from '../leader/open-state.ts';
import { isOurSlowness, Server } from '../leader/serve.ts';
import type { Log } from '../log/log.ts';
import type { PortalResult, Request } from '../policy/types.ts';
import { askPortal } from '../portal/ask.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { openPortal } from '../portal/load.ts';
import { hurry } from '../state/hurry.ts';
import { launcherWaits } from '../state/process.ts';
import { CONNECT_CHECKPOINT_PAGES } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import type { PortalAccess } from './caller.ts';
import { spent } from './elapsed.ts';
import { leaveSlot } from './slot.ts';

/** Milliseconds without a question after which a leader goes: even where a storm lets each wait, its siblings come closer together. */
const LINGER_MS = 1_000;
/** No hook stays longer: the next leader reads the configuration and the certificates anew. */
const RETIRES_AFTER_MS = 30_000;
/** While it serves, nobody waits for this process but those who also look after themselves. */
const PATIENCE_MS = 10_000;

/** A process' own call to the portal and, where it leads, those that it makes for its siblings meanwhile and afterwards. */
export class OwnPortalAccess implements PortalAccess {
  readonly mayLead = launcherWaits() ? 'afterwards' : 'meanwhile';
  readonly isConnected = false;
  readonly #config: Config;
  readonly #log: Log;
  #calls: PortalCalls | null = null;
  #server: Server | null = null;
  #serving: Promise<void> | null = null;
  #isAnswered = false;
  /** Takes no more questions: the portal failed, or it has been long enough. */
  #retires = false;

  constructor(config: Config, log: Log) {
    this.#config = config;
    this.#log = log;
  }

  async ask(request: Request, atMost: number, term: number | null): Promise<PortalResult> {
    let isAsked = false;
    if (term !== null) {
      // Whoever waits for it waits for the whole machine to let it load what talks to the portal.
      hurry();
      process.once('SIGCONT', () => {
        isAsked = true;
        this.#begin(term);
      });
    }
    const result = await askPortal(this.#config, request, spent(), atMost, async () => {
      const calls = await openPortal(this.#config);
      leaveSlot();
      this.#calls = calls;
      if (term !== null && isAsked) this.#begin(term);
      return calls;
    });
    if (term === null) this.#calls?.close();
    if ('failure' in result && !isOurSlowness(result.failure)) this.#retire();
    return result;
  }

  async stay(term: number): Promise<void> {
    this.#isAnswered = true;
    // The folder that ocserv has given it must not be held.
    process.chdir('/');
    this.#begin(term);
    const retire = setTimeout(() => this.#retire(), RETIRES_AFTER_MS);
    await this.#serving;
    clearTimeout(retire);
  }

  #retire(): void {
    this.#retires = true;
    this.#server?.retire();
  }

  /** Nobody asks in quiet times: only now is there anything to pay for it. */
  #begin(term: number): void {
    if (this.#calls !== null) this.#serving ??= this.#serve(term, this.#calls);
  }

  async #serve(term: number, calls: PortalCalls): Promise<void> {
    try {
      this.#server = new Server({
        config: this.#config,
        state: await openState(this.#config, this.#log, {
          patience: PATIENCE_MS,
          checkpointPages: CONNECT_CHECKPOINT_PAGES,
        }),
        term,
        calls,
        // The own call has made it.
        stoodBefore: false,
        mayLeave: (idle) => this.#isAnswered && idle >= LINGER_MS,
      });
      if (this.#retires) this.#server.retire();
      await this.#server.serve();
    } catch (error) {
      // Not this connect's concern; those that wait see that nobody answers them, and go on by themselves.
      this.#log.error('the portal cannot be asked for other connects any more', {
        error: error instanceof StateUnusable ? error.message : ((error as Error).stack ?? String(error)),
        ...(error instanceof StateUnusable ? { cure: error.cure } : {}),
      });
    }
  }
}
