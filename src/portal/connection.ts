import { connect as connectTcp, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type SecureContext, TLSSocket } from 'node:tls';
import { type Address, formatAddress } from '../config/address.ts';
import { isIpAddress } from '../config/ip.ts';
import { milliseconds } from '../state/clock.ts';
import { CLOSED, CLOSED_BY_US, type Fault, faultOf, NO_HTTP2, silent } from './fault.ts';
import { Session } from './http2/session.ts';
import type { Records } from './records.ts';

/** To whom, and how. */
export interface Endpoint {
  readonly address: Address;
  /** The name that the portal's certificate must carry; empty: the address' own. */
  readonly serverName: string;
  /** Null: without TLS. */
  readonly secureContext: SecureContext | null;
  /** Where its name leads to. */
  readonly records: Records;
}

/** A call, as the connection that it goes over sees it. */
export interface Passenger {
  /** It may send. At most once. */
  begin(session: Session): void;
  /** The other side has taken the connection: from now on it is the call that takes its time. Once, before `begin`. */
  reached(): void;
  /** The connection is no more, and this call has not begun. What has begun hears of it by its stream. */
  lost(fault: Fault): void;
}

/** Of several records of one name, milliseconds that each but the last may take for TCP before the next is tried. */
const NEXT_RECORD_MS = 500;

/** Milliseconds: a timer that is later than that was kept from running. */
const LATE_MS = 50;

/** One HTTP/2 connection to one address, from its beginning to its end; it is never made anew. */
export class Connection {
  readonly endpoint: Endpoint;
  readonly #socket: Socket;
  readonly #passengers = new Set<Passenger>();
  /** Those that wait until they may send. */
  readonly #waiting = new Set<Passenger>();
  #session: Session | null = null;
  #isReached = false;
  #isRetired = false;
  #fault: Fault | null = null;
  /** Milliseconds of the monotonic clock: until when somebody waits for it to be reached. */
  #connectBy = 0;
  /** Runs while a record that has taken the connection may still turn out to be silent, and there are others. */
  #patience: NodeJS.Timeout | undefined;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    this.#socket = this.#connect();
    this.#socket.on('connectionAttempt', (ip: string) => endpoint.records.tried(ip));
    this.#socket.once('connect', () => this.#expectWords());
    this.#socket.on('error', (error) => this.#end(faultOf(error)));
    this.#socket.on('close', () => this.#end(CLOSED));
  }

  /** The other side speaks HTTP/2 and has taken our certificate: its first SETTINGS have come. */
  get isReached(): boolean {
    return this.#isReached;
  }

  /** Whether it takes further calls: it is being made, or it stands. */
  get isOpen(): boolean {
    return this.#fault === null && !this.#isRetired && this.#session?.isOpen !== false;
  }

  /** Why it is no more; null while it is there. */
  get fault(): Fault | null {
    return this.#fault;
  }

  get isSecure(): boolean {
    return this.endpoint.secureContext !== null;
  }

  /** What HTTP/2 calls the other side: by the name that its certificate must carry. */
  get authority(): string {
    return this.endpoint.serverName || formatAddress(this.endpoint.address);
  }

  /** When the portal's certificate expires, as OpenSSL writes it. */
  get certificateExpiry(): string | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket.getPeerCertificate().valid_to : undefined;
  }

  /**
   * Takes a call along. It waits for the other side's first words: what was sent before them, and lost, could have done anything, and
   * would pass for a portal that was not reached.
   */
  join(passenger: Passenger): void {
    if (this.#fault !== null) {
      passenger.lost(this.#fault);
      return;
    }
    this.#passengers.add(passenger);
    if (this.#isReached && this.#session !== null) {
      passenger.reached();
      passenger.begin(this.#session);
    } else this.#waiting.add(passenger);
  }

  /** @param until milliseconds of the monotonic clock: so long a call waits for it to be reached. The longest counts. */
  allow(until: number): void {
    this.#connectBy = Math.max(this.#connectBy, until);
  }

  /** Its call is over. */
  leave(passenger: Passenger): void {
    this.#passengers.delete(passenger);
    this.#waiting.delete(passenger);
    this.#closeIfUnused();
  }

  /** Takes no further calls; those that are on their way may end. */
  retire(): void {
    this.#isRetired = true;
    this.#closeIfUnused();
  }

  /** At once: calls that are on their way are lost. */
  close(): void {
    this.#end(CLOSED_BY_US);
  }

  #closeIfUnused(): void {
    if (!this.isOpen && this.#passengers.size === 0) this.close();
  }

  #connect(): Socket {
    const { address, serverName, secureContext, records } = this.endpoint;
    const { host, port } = address;
    const to = {
      host,
      port,
      lookup: records.lookUp,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: NEXT_RECORD_MS,
    };
    if (secureContext === null) {
      const socket = connectTcp(to);
      return socket.once('connect', () => this.#speak(socket));
    }
    const name = serverName || host;
    const socket = connectTls({
      ...to,
      secureContext,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: true,
      // RFC 6066, section 3: TLS knows no server name that is an IP address.
      ...(isIpAddress(name) ? {} : { servername: name }),
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    });
    return socket.once('secureConnect', () => {
      // RFC 9113, section 3.2.
      if (socket.alpnProtocol === 'h2') this.#speak(socket);
      else this.#end(NO_HTTP2);
    });
  }

  /** TCP stands. Who says nothing then must not take the time of those that are left. */
  #expectWords(): void {
    const { untried } = this.endpoint.records;
    const now = milliseconds();
    if (untried === 0) return;
    const part = Math.max(0, this.#connectBy - now) / (untried + 1);
    this.#patience = setTimeout(() => {
      // It may have spoken while this process could not listen: then it is heard next.
      if (milliseconds() - now - part > LATE_MS) this.#expectWords();
      else this.#end(silent(this.#socket.remoteAddress ?? '', part));
    }, part);
  }

  #speak(socket: Socket): void {
    // What is to be sent is sent at once: it is an answer that is waited for.
    socket.setNoDelay(true);
    const session = new Session(socket, {
      reached: () => this.#reach(session),
      leaving: () => this.#closeIfUnused(),
      failed: (fault) => this.#end(fault),
    });
    this.#session = session;
  }

  #reach(session: Session): void {
    if (this.#fault !== null) return;
    this.#isReached = true;
    clearTimeout(this.#patience);
    for (const passenger of this.#passengers) passenger.reached();
    for (const passenger of this.#waiting) {
      this.#waiting.delete(passenger);
      passenger.begin(session);
    }
  }

  /** The first reason is the true one: what comes after it is what became of the rest. */
  #end(fault: Fault): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    clearTimeout(this.#patience);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#session?.close(fault);
    this.#socket.destroy();
    for (const passenger of waiting) passenger.lost(fault);
  }
}
