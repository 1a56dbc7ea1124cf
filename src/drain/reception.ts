import { isAbsolute } from 'node:path';
import { configFile } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { startOf } from '../hook/elapsed.ts';
import { leave } from '../hook/leave.ts';
import { expectNoDrain, isExpected } from '../hook/slot.ts';
import { patienceFor } from '../hook/turn.ts';
import type { Log } from '../log/log.ts';
import type { PortalCalls } from '../portal/calls.ts';
import { milliseconds } from '../state/clock.ts';
import { hurry } from '../state/hurry.ts';
import type { OpenStates } from '../state/open-states.ts';
import { sleep } from '../state/patience.ts';
import { makeFolder, runFolder } from '../state/run-folder.ts';
import { Answer, TakenBack } from './answer.ts';
import { Arrivals } from './arrivals.ts';
import { program } from './basis.ts';
import type { Shared } from './caller.ts';
import type { ClosingLogs } from './closing-logs.ts';
import { compileLittleInStorms } from './compiling.ts';
import { clearLeftovers, type HandedOver, type Taken, type Whose } from './handed-over.ts';
import { runsAlike } from './kin.ts';
import { FLUSH_MS, serveCall } from './serve-call.ts';
import { born, dropName, isSignUp, patienceOf, putUpSign, takeDownSign } from './sign.ts';
import { Strikes } from './strikes.ts';
import { Turnstile } from './turnstile.ts';

/** To whoever does not wait for it this signal does nothing: the process id that a launcher has read may be a stranger's by now. */
const SIGNAL = 'SIGURG';
/** A signal can be lost. */
const LOOK_MS = 100;
const CLEAR_MS = 1_000;
/** Milliseconds without a call after which it closes, if the work is done. */
const LINGER_MS = 2_000;
/** The same where it is expected: hooks that it came too late for look for it between their turns. */
const lingersFor = ({ hook }: Config): number =>
  isExpected() ? patienceFor(hook.deadline) * 1_000 + LINGER_MS : LINGER_MS;
/** After this it stays no longer than the work does: the next one reads everything anew. */
const RETIRES_AFTER_MS = 10 * 60_000;
/** How long it still looks once its sign is down: a launcher may just have read it. */
const LAST_LOOK_MS = 250;
/** As of a process that SIGTERM has ended. */
const TERMINATED = 143;

export interface ReceptionMeans {
  readonly config: Config;
  readonly log: Log;
  readonly calls: PortalCalls;
  readonly states: OpenStates;
  /** Of calls that are over: they are waited for before this process ends. */
  readonly logs: ClosingLogs;
  /** Whether the program, its configuration or a certificate has changed since this process read them. */
  readonly isStale: () => boolean;
  /** Told when the portal has failed over a call: whoever asks next does so over a new connection. */
  readonly onPortalFailed: () => void;
  /** Told once it takes no more calls. */
  readonly onClosed: () => void;
}

/**
 * Answers hooks' calls beside some work that has a connection to the portal anyway: their launcher hands them over, and no process of
 * their own is started, whose start-up is nearly all that a hook costs. They are served by the same code, each under its own deadline and with its own log.
 */
export async function receiveAlong<T>(
  work: (isWanted: () => boolean) => Promise<T>,
  means: ReceptionMeans,
): Promise<T> {
  const reception = new Reception(means);
  const why = reception.open();
  if (why !== null) {
    means.log.debug('no calls are taken over from hooks', { reason: why });
    expectNoDrain();
    means.onClosed();
    return work(() => false);
  }
  try {
    return await work(() => reception.isWanted());
  } finally {
    await reception.close();
  }
}

class Reception {
  readonly #means: ReceptionMeans;
  readonly #shared: Shared;
  readonly #lingers: number;
  readonly #calls = runFolder('calls');
  readonly #answers = runFolder('answers');
  #arrivals: Arrivals | null = null;
  #timers: readonly NodeJS.Timeout[] = [];
  #hasRetired = false;
  #opened = 0;
  #lastCall = 0;
  /** When it was last looked whether what this process goes by has changed. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #inHand = 0;
  #calmDown = (): void => {};
  /** Of calls that are over; their launchers may still read them. */
  #given: Answer[] = [];
  #onIdle = (): void => {};

  constructor(means: ReceptionMeans) {
    this.#means = means;
    this.#lingers = lingersFor(means.config);
    this.#shared = {
      states: means.states,
      turnstile: new Turnstile(),
      strikes: new Strikes(),
      logs: means.logs,
      calls: means.calls,
      onPortalFailed: () => {
        this.#retire();
        means.onPortalFailed();
      },
      hasRetired: () => this.#hasRetired,
    };
  }

  /** @returns why it cannot be; null when it is open. */
  open(): string | null {
    const patience = patienceOf(this.#means.config);
    if (patience === null) return 'hook.deadline leaves no time for a second way';
    if (startOf(process.pid, Number.NaN) === null)
      return 'the kernel does not tell when a process was started';
    if (!runsAlike(process.pid, program(), program())) return 'the kernel does not tell what a process sees';
    // Each launcher's would be another, from where it is.
    if (!isAbsolute(configFile())) return 'OCAGENT_CONFIG does not begin with "/"';
    try {
      const own = { born: born(), config: process.env['OCAGENT_CONFIG'] ?? '', program: program() };
      this.#arrivals = new Arrivals(this.#calls, own, (taken, found) => this.#receive(taken, found));
      for (const folder of [runFolder(), this.#calls, this.#answers]) makeFolder(folder);
      clearLeftovers(this.#calls);
      clearLeftovers(this.#answers);
      putUpSign(patience);
    } catch (error) {
      // Not root, or no such place.
      return (error as Error).message;
    }
    process.on(SIGNAL, this.#look);
    process.on('SIGTERM', this.#leave);
    this.#timers = [setInterval(this.#look, LOOK_MS), setInterval(() => this.#clearAway(), CLEAR_MS)];
    this.#opened = milliseconds();
    // Whoever has started it is followed by others.
    this.#lastCall = this.#opened;
    return null;
  }

  /** Resolves when no calls come any more, and all are answered that had seen the sign. */
  async close(): Promise<void> {
    while (this.isWanted()) await sleep(LOOK_MS);
    this.#retire();
    await sleep(LAST_LOOK_MS);
    this.#look();
    await this.#idle();
    for (const timer of this.#timers) clearInterval(timer);
    process.off(SIGNAL, this.#look);
    process.off('SIGTERM', this.#leave);
    this.#clearAway();
    dropName();
  }

  /** Calls come. They would have another drain started, too, if the work ended, and its lease were free. */
  isWanted(): boolean {
    const now = milliseconds();
    return isSignUp() && now - this.#lastCall < this.#lingers && now - this.#opened < RETIRES_AFTER_MS;
  }

  /** What was changed before that moment is seen: of a crowd that was found together one look serves all. */
  #retireIfStale(since: number): void {
    if (since < this.#lookedAt) return;
    this.#lookedAt = milliseconds();
    try {
      if (this.#means.isStale()) this.#retire();
    } catch (error) {
      // What cannot be looked at any more is not what was read.
      this.#giveUp(error as Error);
    }
  }

  /** Who comes from now on starts a process of his own, which goes by what is there now. */
  #retire(): void {
    if (this.#hasRetired) return;
    this.#hasRetired = true;
    takeDownSign();
    this.#means.onClosed();
  }

  /** SIGTERM: what has been begun is not left with its decision recorded and nobody told. */
  readonly #leave = (): void => {
    this.#retire();
    void this.#idle()
      .then(() => this.#shared.logs.flush(FLUSH_MS))
      .then((written) => leave(TERMINATED, !written));
  };

  async #idle(): Promise<void> {
    if (this.#isIdle) return;
    await new Promise<void>((resolve) => {
      const before = this.#onIdle;
      this.#onIdle = () => {
        before();
        resolve();
      };
    });
  }

  readonly #look = (): void => {
    try {
      this.#arrivals?.look();
    } catch (error) {
      this.#giveUp(error as Error);
    }
  };

  #receive(taken: Taken, found: number): void {
    switch (taken.what) {
      case 'call':
        return void this.#attendTo(taken.call, found);
      case 'another’s':
        return void this.#attendTo(taken.whose, found);
      case 'left behind':
        this.#leaveBehind(taken.whose);
    }
    this.#checkIdle();
  }

  /** Whoever has taken his call back has done it himself. Of another, all that could be read of it is gone with its launcher. */
  #leaveBehind(whose: Whose): void {
    const answer = new Answer(this.#answers, whose, false);
    if (!answer.isThere) {
      this.#means.log.error('a hook was killed before its call was read: nothing of it is recorded', {
        pid: whose.pid,
        cure: 'see what kills hooks (out of memory?); if it was a disconnect, ocagent-hook sessions sync ends its session',
      });
    }
    answer.clearAway();
  }

  async #attendTo(call: HandedOver | Whose, found: number): Promise<void> {
    compileLittleInStorms();
    if (this.#inHand === 0) this.#calmDown = hurry();
    this.#inHand += 1;
    const onlyOnce = 'env' in call && call.env['REASON'] !== 'connect';
    const answer = new Answer(this.#answers, call, onlyOnce);
    try {
      await this.#answer(call, answer, found);
    } catch (error) {
      if (!(error instanceof TakenBack)) this.#giveUp(error as Error);
    }
    this.#given.push(answer);
    this.#inHand -= 1;
    if (this.#inHand === 0) this.#calmDown();
    this.#checkIdle();
  }

  get #isIdle(): boolean {
    return this.#inHand === 0 && (this.#arrivals?.isEmpty ?? true);
  }

  #checkIdle(): void {
    if (this.#isIdle) this.#onIdle();
  }

  /** @throws {TakenBack} */
  async #answer(call: HandedOver | Whose, answer: Answer, found: number): Promise<void> {
    const { config, log } = this.#means;
    // That its launcher waits was seen when it was taken.
    if (answer.isThere) return;
    this.#retireIfStale(found);
    const status =
      this.#hasRetired || !('env' in call) ? null : await serveCall(call, answer, this.#shared, config, log);
    if (status === null) return answer.decline();
    this.#lastCall = milliseconds();
    answer.give(status);
  }

  /** Its place is gone, or full, or what it goes by. Those that wait see to themselves. */
  #giveUp(error: Error): void {
    if (this.#hasRetired) return;
    this.#means.log.warn('no calls are taken over from hooks any more', { error: error.message });
    this.#retire();
  }

  #clearAway(): void {
    this.#given = this.#given.filter((answer) => !answer.clearAway());
  }
}
