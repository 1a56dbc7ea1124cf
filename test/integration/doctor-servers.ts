import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { CertificateFiles } from '../../scripts/portal/certificates.ts';

/** Something else than a portal, by default on a port of its own. */
export async function listening(
  server: Server,
  { host = '127.0.0.1', port = 0 } = {},
): Promise<{ address: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function keys(files: CertificateFiles): TlsOptions {
  return {
    ca: readFileSync(files.ca),
    cert: readFileSync(files.serverCertificate),
    key: readFileSync(files.serverKey),
    requestCert: true,
  };
}

/** A gRPC server whose clock the test sets; null: it tells no time. */
export function grpcServer(files: CertificateFiles, date: Date | null): Server {
  const server = createSecureServer({ ...keys(files), ALPNProtocols: ['h2'] });
  server.on('stream', (stream: ServerHttp2Stream) => {
    const headers = { ':status': 200, 'content-type': 'application/grpc' };
    const told = date === null ? headers : { ...headers, date: date.toUTCString() };
    // `sendDate` is missing in the types.
    stream.respond(told, { waitForTrailers: true, ...{ sendDate: false } });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('error', () => {});
    stream.end(Buffer.alloc(5));
  });
  return server;
}

/** OpenSSL's own server, which tells its clients why it does not talk to them. */
export async function openssl(...options: string[]): Promise<{ address: string } & AsyncDisposable> {
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', ...options], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stdout) {
    said += chunk;
    if (/ACCEPT .*:\d+/.test(said)) break;
  }
  return {
    address: `127.0.0.1:${/ACCEPT .*:(\d+)/.exec(said)?.[1]}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
