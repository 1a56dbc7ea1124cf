import { MAX_MESSAGE_BYTES, type Read } from './message.ts';

/**
 * A message that a portal has compressed. We ask for none that is, but servers on gRPC's C core that are told to compress do it for all the
 * same, and the flag and the header say how.
 * @param encoding the answer's `grpc-encoding`.
 */
export function decompressed(message: Uint8Array, encoding: unknown): Read {
  // Fetched, not imported: hardly any portal does it.
  const { gunzipSync, inflateSync } = process.getBuiltinModule('node:zlib');
  const decompress = encoding === 'gzip' ? gunzipSync : encoding === 'deflate' ? inflateSync : null;
  if (decompress === null) return { kind: 'garbled' };
  try {
    return { kind: 'one', message: decompress(message, { maxOutputLength: MAX_MESSAGE_BYTES }) };
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return { kind: isTooLarge ? 'too large' : 'garbled' };
  }
}
