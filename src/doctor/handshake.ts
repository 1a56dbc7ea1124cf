import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import type { Address } from '../config/address.ts';
import { readRegularFile } from '../config/regular-file.ts';
import type { Config } from '../config/schema.ts';
import { publicRoots } from '../tls/public-roots.ts';

/** Milliseconds for the handshake, and for the first word after it. */
const HANDSHAKE_MS = 3_000;
const FIRST_WORD_MS = 500;

/** What came of shaking hands. The portal's certificate is looked at afterwards, so one that is wrong does not end it. */
export type Shaken =
  | {
      readonly kind: 'shaken';
      readonly protocol: string;
      /** HTTP/2, which gRPC is made of. */
      readonly http2: boolean;
      readonly certificate: DetailedPeerCertificate;
      /** Why the chain does not lead to portal.tls.ca_file, as OpenSSL names it; null when it does. */
      readonly untrusted: string | null;
      /** What it did right after: under TLS 1.3 the client has finished before its certificate is looked at. */
      readonly after: string | null;
    }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'silent'; readonly milliseconds: number };

/** Shakes hands as a call would: with our certificate, our CA, our least version. Nothing is sent over the connection. */
export function shakeHands(
  ip: string,
  { host, port }: Address,
  tls: Config['portal']['tls'],
): Promise<Shaken> {
  const file = (path: string): Buffer | undefined => (path === '' ? undefined : readRegularFile(path));
  const name = tls.server_name || host;
  return new Promise((resolve) => {
    const socket = connect({
      host: ip,
      port,
      ca: file(tls.ca_file) ?? publicRoots(),
      cert: file(tls.cert_file),
      key: file(tls.key_file),
      minVersion: tls.min_version === 'TLS1.2' ? 'TLSv1.2' : 'TLSv1.3',
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
      // Of what is wrong the chain comes first here; the name is compared by whoever asked.
      checkServerIdentity: () => undefined,
      ...(isIP(name) ? {} : { servername: name }),
    });
    const end = (shaken: Shaken): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(shaken);
    };
    let timer = setTimeout(() => end({ kind: 'silent', milliseconds: HANDSHAKE_MS }), HANDSHAKE_MS);
    let seen: ReturnType<typeof look> | null = null;
    socket.on('secureConnect', () => {
      const shaken = look(socket);
      seen = shaken;
      clearTimeout(timer);
      timer = setTimeout(() => end({ ...shaken, after: null }), FIRST_WORD_MS);
    });
    socket.on('data', () => seen && end({ ...seen, after: null }));
    const broke = (why: string): void => end(seen ? { ...seen, after: why } : { kind: 'failed', why });
    socket.on('error', (error) => broke(error.message));
    socket.on('end', () => broke('it closed the connection'));
    socket.on('close', () => broke('it closed the connection'));
  });
}

function look(socket: TLSSocket) {
  return {
    kind: 'shaken',
    protocol: socket.getProtocol() ?? 'unknown',
    http2: socket.alpnProtocol === 'h2',
    certificate: socket.getPeerCertificate(true),
    untrusted: socket.authorized ? null : String(socket.authorizationError),
  } as const;
}
