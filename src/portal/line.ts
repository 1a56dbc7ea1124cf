import type { LookupFunction } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Address } from '../config/address.ts';
import { milliseconds } from '../state/clock.ts';
import { Connection } from './connection.ts';
import type { Fault } from './fault.ts';
import { Status } from './grpc-status.ts';
import type { Headers } from './http2/fields.ts';
import type { Method } from './methods.ts';
import { Records } from './records.ts';
import type { Metadata } from './request-headers.ts';
import { callOver } from './unary.ts';

/** What became of a call. */
export type Attempt<Response> = { readonly response: Response } | FailedAttempt;

export interface FailedAttempt {
  readonly code: number;
  readonly details: string;
  /** What became of the connection, where that is why; null where the portal said so, or nothing came in time. */
  readonly fault: Fault | null;
  /** A connection stood, whatever became of it. */
  readonly reached: boolean;
  /** The same, of this attempt or one before it. */
  readonly everReached: boolean;
  /** The portal has not begun with it. */
  readonly untaken?: true;
  readonly address: Address;
}

export interface LineOptions {
  /** Null: without TLS. */
  readonly secureContext: SecureContext | null;
  /** The name that the portal's certificate must carry; empty: the address' own. */
  readonly serverName: string;
  /** Tried in their order; at least one. */
  readonly addresses: readonly Address[];
  /** Told once for each connection, by the first answer over it. */
  readonly onMet?: OnMet | undefined;
  /** Looks a name up; default: as the system does. */
  readonly resolve?: LookupFunction;
}

/** What a connection tells of the portal besides its answers; null what it does not tell. */
export interface Met {
  /** Its clock, to the second, as it began to answer: HTTP's `date`, which Node's servers send and Go's do not. */
  readonly portalTime: Date | null;
  /** Of its own certificate. */
  readonly certificateExpiry: Date | null;
}

export type OnMet = (met: Met) => void;

/** With less than this left a further attempt only delays the fail mode's answer. */
const MIN_ATTEMPT_MS = 50;

/** How often one call moves on to a new connection because the portal ends the one that it was to go over. */
const MOST_MOVES = 3;

/** Milliseconds after an answer for which a connection is taken to be alive: one that dies without a word looks like one that stands. */
const PROVEN_MS = 1_000;

/** What a call tries next. */
interface Try {
  /** Of the address among those that are configured. */
  readonly index: number;
  readonly records: Records;
  /** Milliseconds of the monotonic clock: until when this address is to be reached. */
  readonly connectBy: number;
}

/** The way to the portal: at most one connection, to the first address that can be reached, kept while it stands. */
export class Line {
  readonly #options: LineOptions;
  #standing: { readonly connection: Connection; readonly index: number } | null = null;
  /** Those that have been made and are not over; one that is left for a new one may still bring answers. */
  readonly #connections = new Set<Connection>();
  /** The connection that `onMet` was last told of. */
  #met: Connection | null = null;
  /** Milliseconds of the monotonic clock: when the connection that stands has brought its last answer. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /**
   * Calls over the connection that stands, else the first address that can be reached. Each gets an equal share of the budget to
   * connect, and each record of its name that takes a TCP connection an equal part of what is left of that. One that cannot be reached passes the call on; a call that failed with
   * UNAVAILABLE is retried so many times, at the next address where there is one, else at the same (contract/cli.md, "Times"). One that
   * the portal has not begun with as it ends the connection goes over a new one.
   * @param budget milliseconds for all of it: connections, TLS, retries.
   */
  async call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    metadata: Metadata,
    budget: number,
    { retries }: { retries: number },
  ): Promise<Attempt<Response>> {
    const { addresses, resolve } = this.#options;
    const message = method.encode(request);
    const end = milliseconds() + budget;
    const share = budget / addresses.length;
    // A request that a portal has seen could have provoked whatever came of it, a crash of that portal included.
    let everReached = false;
    // One that is not reached in time may be well, and this machine too busy to hear it (starvation.ts): so refusals by others do not
    // make a portal of it that is away.
    let isLate = false;
    let moves = 0;
    const to = (index: number): Try => ({
      index,
      records: new Records(resolve),
      connectBy: milliseconds() + share,
    });
    for (let next = to(this.#standing?.index ?? 0); ; ) {
      const { index, connectBy } = next;
      const connection = this.#connectionTo(next);
      connection.allow(connectBy);
      const tried = await this.#attempt(connection, method, message, metadata, end, connectBy);
      if ('response' in tried) return tried;
      if (!tried.reached) this.#drop(connection);
      const mayGoOn = !this.#isClosed && hasTime(end);
      const { records } = connection.endpoint;
      const other = records.untried > 0 && hasTime(connectBy) ? { index, records, connectBy } : null;
      // Not a retry: the portal has not seen it (grpc/proposal/A6-client-retries.md, "Transparent Retries").
      if (tried.untaken === true && mayGoOn && moves++ < MOST_MOVES) {
        next = other ?? to(index);
        continue;
      }
      everReached ||= tried.reached;
      isLate ||= !tried.reached && tried.code === Status.DEADLINE_EXCEEDED;
      const code = isLate && !everReached ? Status.DEADLINE_EXCEEDED : tried.code;
      const failed = { ...tried, code, everReached };
      if (this.#isClosed) return failed;
      if (!failed.reached && other !== null) {
        next = other;
        continue;
      }
      const hasNext = index + 1 < addresses.length;
      if (failed.reached || !hasNext) {
        if (tried.code !== Status.UNAVAILABLE || retries === 0 || !mayGoOn) return failed;
        retries--;
      }
      next = to(hasNext ? index + 1 : index);
    }
  }

  /** Whether a connection stands, as far as anybody has noticed. */
  get stands(): boolean {
    const connection = this.#standing?.connection;
    return connection?.isReached === true && connection.isOpen;
  }

  /** Whether a connection stands that has just brought an answer. */
  get isProven(): boolean {
    return this.stands && milliseconds() - this.#answeredAt < PROVEN_MS;
  }

  /** At once, and for good. */
  close(): void {
    this.#isClosed = true;
    this.#standing = null;
    for (const connection of this.#connections) connection.close();
    this.#connections.clear();
  }

  async #attempt<Response>(
    connection: Connection,
    { path, decode }: Method<never, Response>,
    message: Uint8Array,
    metadata: Metadata,
    end: number,
    connectBy: number,
  ): Promise<Attempt<Response>> {
    const { onMet } = this.#options;
    const onAnswer = onMet && ((headers: Headers): void => this.#meet(connection, headers, onMet));
    const outcome = await callOver(connection, { path, message, metadata, end, connectBy, onAnswer });
    const { isReached: reached } = connection;
    const failed = { reached, everReached: reached, address: connection.endpoint.address };
    if (!('message' in outcome)) return { ...outcome, ...failed };
    try {
      const response = decode(outcome.message);
      if (this.#standing?.connection === connection) this.#answeredAt = milliseconds();
      return { response };
    } catch (error) {
      const details = `the message of the portal cannot be read: ${(error as Error).message}`;
      return { code: Status.INTERNAL, details, fault: null, ...failed };
    }
  }

  #meet(connection: Connection, headers: Headers, onMet: OnMet): void {
    if (connection === this.#met) return;
    this.#met = connection;
    onMet({
      portalTime: dateOf(headers['date']),
      certificateExpiry: dateOf(connection.certificateExpiry),
    });
  }

  #connectionTo({ index, records }: Try): Connection {
    const standing = this.#standing;
    if (standing?.index === index && standing.connection.isOpen) return standing.connection;
    if (standing !== null) this.#drop(standing.connection);
    const { secureContext, serverName, addresses } = this.#options;
    const address = addresses[index];
    if (address === undefined) throw new RangeError('a portal call needs an address');
    const connection = new Connection({ address, serverName, secureContext, records });
    if (this.#isClosed) connection.close();
    this.#standing = { connection, index };
    this.#answeredAt = Number.NEGATIVE_INFINITY;
    this.#connections.add(connection);
    return connection;
  }

  /** Nobody calls over it any more; others' calls that are on their way over it may end. */
  #drop(connection: Connection): void {
    if (this.#standing?.connection === connection) this.#standing = null;
    connection.retire();
    for (const one of this.#connections) if (one.fault !== null) this.#connections.delete(one);
  }
}

/** @param end milliseconds of the monotonic clock. */
function hasTime(end: number): boolean {
  return end - milliseconds() >= MIN_ATTEMPT_MS;
}

function dateOf(text: Headers[string]): Date | null {
  const time = Date.parse(String(text ?? ''));
  return Number.isNaN(time) ? null : new Date(time);
}
