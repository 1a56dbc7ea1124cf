import { Code, ConnectionError, frameSizeError, protocolError } from './errors.ts';
import { Flag, frame, frameOfWords, MAX_31_BITS, MAX_FRAME_BYTES, PREFACE, Type } from './frames.ts';
import { MAX_TABLE_BYTES } from './hpack-table.ts';

/** RFC 9113, section 6.5.2. */
const Setting = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** Of headers, as HPACK counts it. It is told to the other side; what is longer all the same ends its own stream. */
export const MAX_HEADER_BYTES = 65_536;

/** A window before anybody says anything (section 6.9.2). */
export const DEFAULT_WINDOW = 65_535;

/** How much may be on its way to us, on a stream and on the connection: twice a message of the greatest size. */
export const OUR_WINDOW = 8 * 1024 * 1024;

/** What a client begins with: who it is, what it takes, and how much. */
export function greeting(): Buffer {
  const settings: readonly (readonly [setting: number, value: number])[] = [
    [Setting.ENABLE_PUSH, 0],
    [Setting.INITIAL_WINDOW_SIZE, OUR_WINDOW],
    [Setting.MAX_HEADER_LIST_SIZE, MAX_HEADER_BYTES],
  ];
  const payload = Buffer.allocUnsafe(6 * settings.length);
  settings.forEach(([setting, value], i) => {
    payload.writeUInt16BE(setting, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  const window = frameOfWords(Type.WINDOW_UPDATE, 0, OUR_WINDOW - DEFAULT_WINDOW);
  return Buffer.concat([Buffer.from(PREFACE), frame(Type.SETTINGS, 0, 0, payload), window]);
}

export const SETTINGS_ACK = frame(Type.SETTINGS, Flag.ACK, 0);

/** What the other side takes, as far as it has said so. */
export class PeerSettings {
  maxStreams = Number.POSITIVE_INFINITY;
  /** That a stream begins with. */
  window = DEFAULT_WINDOW;
  maxFrameBytes = MAX_FRAME_BYTES;
  /** It remembers less of our fields than everybody does, and we have to say that we know (RFC 7541, section 4.2). */
  hasSmallTable = false;

  /** What it says of the size of lists does not matter: ours are short. */
  take(payload: Buffer): void {
    if (payload.length % 6 !== 0) throw frameSizeError('settings that are not whole');
    for (let at = 0; at < payload.length; at += 6) {
      const value = payload.readUInt32BE(at + 2);
      switch (payload.readUInt16BE(at)) {
        case Setting.HEADER_TABLE_SIZE:
          this.hasSmallTable ||= value < MAX_TABLE_BYTES;
          break;
        case Setting.ENABLE_PUSH:
          if (value !== 0) throw protocolError('settings by which it would be pushed to');
          break;
        case Setting.MAX_CONCURRENT_STREAMS:
          this.maxStreams = value;
          break;
        case Setting.INITIAL_WINDOW_SIZE:
          if (value > MAX_31_BITS) {
            throw new ConnectionError(Code.FLOW_CONTROL_ERROR, `a window of ${value} bytes`);
          }
          this.window = value;
          break;
        case Setting.MAX_FRAME_SIZE:
          if (value < MAX_FRAME_BYTES || value > 0xff_ffff)
            throw protocolError(`a setting of frames of ${value} bytes`);
          this.maxFrameBytes = value;
          break;
      }
    }
  }
}
