import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Signal } from '../../scripts/portal/signal.ts';

/** What a collector does with a request, once it has read it. */
export type Behaviour =
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Headers; readonly body?: string }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Answers byte by byte, and never comes to an end. */
  | { readonly kind: 'trickle' };

type Headers = Readonly<Record<string, string>>;

export const TAKE: Behaviour = { kind: 'answer', status: 200, body: '{}' };
export const HANG: Behaviour = { kind: 'hang' };
export const TRICKLE: Behaviour = { kind: 'trickle' };

export function answering(status: number, body = '', headers: Headers = {}): Behaviour {
  return { kind: 'answer', status, headers, body };
}

export interface Export {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface CollectorOptions {
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  /** Default: 127.0.0.1. */
  readonly host?: string;
}

const TRICKLE_MS = 20;
const LONGEST_MS = 20_000;

/** A small OpenTelemetry collector: a real HTTP server that takes metrics, or does what the test wants instead. */
export class Collector implements AsyncDisposable {
  /** TCP connections, those that brought no request too. */
  connections = 0;
  /** The most requests that were under way at the same time. */
  mostAtOnce = 0;
  #requests: Export[] = [];
  #underWay = 0;
  #behaviours: readonly Behaviour[] = [TAKE];
  #delay = 0;
  readonly #server: Server;
  readonly #scheme: string;
  readonly #sockets = new Set<Socket>();
  readonly #signal = new Signal();
  #port = 0;

  readonly #host: string;

  private constructor({ tls, host = '127.0.0.1' }: CollectorOptions) {
    this.#host = host;
    const listener: RequestListener = (request, response) => void this.#serve(request, response);
    this.#scheme = tls === undefined ? 'http' : 'https';
    this.#server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    this.#server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      this.#signal.changed();
    });
  }

  static async start(behaviour: Behaviour = TAKE, options: CollectorOptions = {}): Promise<Collector> {
    const collector = new Collector(options);
    collector.behave(behaviour);
    await collector.listen();
    return collector;
  }

  /** Again on the same port. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, this.#host, resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Nobody listens there any more, and what was under way is cut. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** From the next request on; of several one a request, and the last for all that follow. */
  behave(...behaviours: readonly Behaviour[]): void {
    this.#behaviours = behaviours;
  }

  /** Answers only so many milliseconds after a request was read. */
  delay(milliseconds: number): void {
    this.#delay = milliseconds;
  }

  get host(): string {
    return `${this.#host.includes(':') ? `[${this.#host}]` : this.#host}:${this.#port}`;
  }

  get endpoint(): string {
    return `${this.#scheme}://${this.host}/v1/metrics`;
  }

  /** TOML. */
  get config(): string {
    return this.configWith('');
  }

  configWith(more: string, endpoint = this.endpoint): string {
    return `\n[telemetry]\nendpoint = ${JSON.stringify(endpoint)}\n${more}\n`;
  }

  get requests(): readonly Export[] {
    return this.#requests;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Forgets what has come so far. */
  forget(): void {
    this.#requests = [];
    this.connections = 0;
    this.mostAtOnce = this.#underWay;
  }

  /** Resolves once so many requests have come. */
  async received(count: number): Promise<readonly Export[]> {
    const seen = () => `${count} requests; there were ${this.#requests.length}`;
    await this.#signal.until(() => this.#requests.length >= count, seen, LONGEST_MS);
    return this.#requests;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay);
    response.on('close', () => {
      this.#underWay -= 1;
      this.#signal.changed();
    });
    const body = await text(request).catch(() => null);
    if (body === null) return;
    const { method = '', url = '', headers } = request;
    this.#requests.push({ method, url, headers, body });
    this.#signal.changed();
    if (this.#delay > 0) await sleep(this.#delay);
    const [behaviour = TAKE, ...later] = this.#behaviours;
    if (later.length > 0) this.#behaviours = later;
    if (behaviour.kind === 'answer') {
      response.writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers });
      response.end(behaviour.body);
    } else if (behaviour.kind === 'trickle') {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), TRICKLE_MS);
      response.on('close', () => clearInterval(timer));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
