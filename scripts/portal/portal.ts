/** The development portal: a real gRPC server over mutual TLS that answers what its policy says. */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { AuthServiceDefinition } from '../../src/portal/gen/vpn/v1/auth.ts';
import { EventServiceDefinition } from '../../src/portal/gen/vpn/v1/events.ts';
import { type CallOf, Calls, type PortalCall } from './calls.ts';
import { type ConnectionCounts, Listener } from './listener.ts';
import { type Policy, type PolicyInput, type RpcName, readPolicy } from './policy.ts';
import { serviceOf } from './service-of.ts';
import { authService, type Desk, eventService } from './services.ts';
import { Signal } from './signal.ts';

export interface PortalOptions {
  /** The folder with ca.crt, server.crt and server.key, as scripts/portal/certificates.ts writes it. */
  certificates: string;
  /** TOML text, or the same as objects. Default: everyone is unknown and denied. */
  policy?: string | PolicyInput;
  /** Default: 127.0.0.1. */
  host?: string;
  /** Default: 0, any free port; `stop` and `start` keep the one it got. */
  port?: number;
  /** Called with each call once it is answered. */
  onCall?: (call: PortalCall) => void;
  /** Called with each call that a `delay` of the policy holds back, and for how many milliseconds. */
  onWait?: (call: PortalCall, delay: number) => void;
}

export async function startPortal(options: PortalOptions): Promise<Portal> {
  const signal = new Signal();
  const grpc = new Server();
  // The listener has done the TLS; what it hands over is plain HTTP/2 to the gRPC server.
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = await Listener.create({
    certificates: options.certificates,
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    onTrusted: (socket) => injector.injectConnection(socket),
    onChange: () => signal.changed(),
  });
  const portal = new Portal(grpc, listener, signal, readPolicy(options.policy ?? {}), options);
  await portal.begin();
  return portal;
}

export class Portal {
  readonly #grpc: Server;
  readonly #listener: Listener;
  readonly #signal: Signal;
  readonly #calls = new Calls();
  readonly #holds = new Set<{ rpc: RpcName | undefined; released: Promise<void>; release: () => void }>();
  #policy: Policy;
  // Going down and coming back take a moment each; they must not overtake one another.
  #switching: Promise<void> = Promise.resolve();

  /** @internal Use `startPortal`. */
  constructor(
    grpc: Server,
    listener: Listener,
    signal: Signal,
    policy: Policy,
    { onCall, onWait }: Pick<PortalOptions, 'onCall' | 'onWait'>,
  ) {
    this.#grpc = grpc;
    this.#listener = listener;
    this.#signal = signal;
    this.#policy = policy;
    const desk: Desk = {
      policy: () => this.#policy,
      arrived: (call) => {
        this.#calls.arrive(call);
        signal.changed();
      },
      waits: (call, delay) => onWait?.(call, delay),
      answered: (call, answer) => {
        this.#calls.settle(call, answer);
        onCall?.(call as PortalCall);
        signal.changed();
      },
      released: async (rpc) => {
        for (const hold of this.#holds) if (hold.rpc === undefined || hold.rpc === rpc) await hold.released;
      },
    };
    grpc.addService(serviceOf(AuthServiceDefinition), authService(desk));
    grpc.addService(serviceOf(EventServiceDefinition), eventService(desk));
  }

  /** @internal */
  async begin(): Promise<void> {
    // Also a portal that begins down must know its port.
    await this.start();
    if (this.#policy.down === true) await this.stop();
  }

  get host(): string {
    return this.#listener.host;
  }

  get port(): number {
    return this.#listener.port;
  }

  /** `host:port`, as a client's configuration has it. */
  get address(): string {
    return this.host.includes(':') ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  get listening(): boolean {
    return this.#listener.listening;
  }

  get connections(): Readonly<ConnectionCounts> {
    return this.#listener.counts;
  }

  /** Why the last handshake that failed did. */
  get lastRefusal(): string | undefined {
    return this.#listener.lastRefusal;
  }

  /** In order of arrival, also those in flight. */
  get calls(): readonly PortalCall[] {
    return this.#calls.all;
  }

  callsOf<Rpc extends RpcName>(rpc: Rpc): CallOf<Rpc>[] {
    return this.#calls.of(rpc);
  }

  inFlight(rpc: RpcName | 'all' = 'all'): number {
    return this.#calls.inFlight(rpc);
  }

  maxInFlight(rpc: RpcName | 'all' = 'all'): number {
    return this.#calls.maxInFlight(rpc);
  }

  /** Forgets finished calls and the highest counts, not the connection counts. */
  forget(): void {
    this.#calls.forget();
  }

  /** Replaces the whole policy. Throws `PolicyError` and keeps the old one when it is wrong. */
  async setPolicy(source: string | PolicyInput): Promise<void> {
    const before = this.#policy.down ?? false;
    this.#policy = readPolicy(source);
    const down = this.#policy.down ?? false;
    // Only a change counts: a new policy does not undo `stop()`.
    if (down !== before) await (down ? this.stop() : this.start());
  }

  /** Down: connections are refused, open ones dropped, calls in flight are lost. */
  stop(): Promise<void> {
    return this.#switch(() => this.#listener.stop());
  }

  /** Up again, on the same port. */
  start(): Promise<void> {
    return this.#switch(() => this.#listener.start());
  }

  #switch(step: () => Promise<void>): Promise<void> {
    const result = this.#switching.then(step);
    this.#switching = result.catch(() => {});
    return result;
  }

  /** Keeps calls that arrive from now on in flight, of one rpc or all, until the function it returns is called. */
  hold(rpc?: RpcName): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const hold = { rpc, released: promise, release: resolve };
    this.#holds.add(hold);
    return () => {
      this.#holds.delete(hold);
      resolve();
    };
  }

  /** Resolves when `count` calls, of one rpc or all, have arrived since the start or the last `forget`. */
  async arrived(count: number, rpc?: RpcName, timeoutMs?: number): Promise<readonly PortalCall[]> {
    const found = () => (rpc === undefined ? this.calls : this.calls.filter((call) => call.rpc === rpc));
    await this.until(() => found().length >= count, `${count} ${rpc ?? 'calls'} arrived`, timeoutMs);
    return found();
  }

  /** As `arrived`, for calls that were answered or cancelled. */
  async answered(count: number, rpc?: RpcName, timeoutMs?: number): Promise<readonly PortalCall[]> {
    const found = () =>
      this.calls.filter((call) => call.answer !== undefined && (rpc === undefined || call.rpc === rpc));
    await this.until(() => found().length >= count, `${count} ${rpc ?? 'calls'} answered`, timeoutMs);
    return found();
  }

  /** Resolves when `condition` holds; it is looked at whenever a call or a connection comes, changes or goes. */
  until(condition: () => boolean, what: string, timeoutMs?: number): Promise<void> {
    const describe = () => {
      const seen = this.calls.map((call) => `${call.rpc} ${call.answer?.status ?? 'in flight'}`).join(', ');
      return `${what}; seen: ${seen || 'no calls'}; connections: ${JSON.stringify(this.connections)}`;
    };
    return this.#signal.until(condition, describe, timeoutMs);
  }

  async close(): Promise<void> {
    for (const hold of this.#holds) hold.release();
    await this.stop();
    this.#grpc.forceShutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
