/** What a call says besides its message: lower-case names, printable ASCII values. */
export type Metadata = Readonly<Record<string, string>>;

/** Milliseconds of the longest grpc-timeout in milliseconds: eight digits. */
const LONGEST_MS = 99_999_999;

/**
 * The headers of a unary call (grpc/doc/PROTOCOL-HTTP2.md, "Requests").
 * @param authority whom we mean to talk to: the name that its certificate must carry.
 * @param left milliseconds until we no longer wait for the answer.
 */
export function requestHeaders(
  path: string,
  secure: boolean,
  authority: string,
  left: number,
  metadata: Metadata,
): Record<string, string> {
  return {
    ...metadata,
    ':method': 'POST',
    ':scheme': secure ? 'https' : 'http',
    ':authority': authority,
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': `grpc-node-ocagent-hook/${process.env['OCAGENT_VERSION'] ?? 'dev'}`,
    'grpc-accept-encoding': 'identity',
    'grpc-timeout': grpcTimeout(left),
  };
}

/** At most eight digits and a unit; what is longer is told in hours, and never as more than it is. */
export function grpcTimeout(milliseconds: number): string {
  const whole = Math.max(1, Math.floor(milliseconds));
  if (whole <= LONGEST_MS) return `${whole}m`;
  return `${Math.min(99_999_999, Math.floor(whole / 3_600_000))}H`;
}
