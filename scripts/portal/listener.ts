/**
 * The portal's mutual TLS. It stands outside of the gRPC server and hands over connections once they are trusted, so
 * that going down really refuses connections, coming back is on the same port, and handshakes can be counted.
 */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server, type TLSSocket } from 'node:tls';

export interface ConnectionCounts {
  /** TCP connections. */
  accepted: number;
  /** Handshakes that succeeded. */
  handshakes: number;
  /** Handshakes that failed: no client certificate, one of another CA, an old TLS version, no TLS at all. */
  refused: number;
  /** Connections that are open now. */
  open: number;
}

export interface ListenerOptions {
  certificates: string;
  host: string;
  port: number;
  onTrusted(socket: TLSSocket): void;
  onChange(): void;
}

async function readPem(directory: string, name: string): Promise<Buffer> {
  try {
    return await readFile(join(directory, name));
  } catch (cause) {
    const cure = `make a set with: node scripts/portal/certificates.ts ${directory}`;
    throw new Error(`portal: cannot read ${join(directory, name)}; ${cure}`, { cause });
  }
}

export class Listener {
  readonly counts: ConnectionCounts = { accepted: 0, handshakes: 0, refused: 0, open: 0 };
  readonly host: string;
  /** Why the last refused handshake failed. */
  lastRefusal: string | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port: number;

  private constructor(server: Server, options: ListenerOptions) {
    this.#server = server;
    this.host = options.host;
    this.#port = options.port;
    server.on('connection', (socket: Socket) => {
      this.counts.accepted += 1;
      this.counts.open += 1;
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.counts.open -= 1;
        this.#sockets.delete(socket);
        options.onChange();
      });
      options.onChange();
    });
    server.on('secureConnection', (socket) => {
      this.counts.handshakes += 1;
      // A client that dies resets its connection; that is not the portal's error.
      socket.on('error', () => {});
      options.onTrusted(socket);
      options.onChange();
    });
    server.on('tlsClientError', (error, socket) => {
      this.counts.refused += 1;
      // Of a certificate that does not verify, Node's error says only "socket hang up".
      this.lastRefusal = String(socket.authorizationError ?? error.message);
      options.onChange();
    });
  }

  static async create(options: ListenerOptions): Promise<Listener> {
    const [ca, cert, key] = await Promise.all(
      ['ca.crt', 'server.crt', 'server.key'].map((name) => readPem(options.certificates, name)),
    );
    const server = createServer({
      ca,
      cert,
      key,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
    });
    return new Listener(server, options);
  }

  /** The port that was asked for, or for 0 the one that the first `start` got. */
  get port(): number {
    return this.#port;
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  async start(): Promise<void> {
    if (this.#server.listening) return;
    await new Promise<void>((resolve, reject) => {
      const failed = (cause: Error) =>
        reject(new Error(`portal: cannot listen on ${this.host}:${this.#port}: ${cause.message}`, { cause }));
      this.#server.once('error', failed);
      this.#server.listen(this.#port, this.host, () => {
        this.#server.off('error', failed);
        resolve();
      });
    });
    const bound = this.#server.address();
    if (bound !== null && typeof bound === 'object') this.#port = bound.port;
  }

  /** Refuses new connections and drops the open ones at once, without the goodbye that HTTP/2 has for it. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
