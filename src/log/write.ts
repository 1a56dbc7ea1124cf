import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

const RETRIES = 50;
const RETRY_MS = 5;

/** Of /dev/null, which is the device 1:3 on every Linux. */
const DEV_NULL = 0x103;

/**
 * A descriptor through which a write to stderr cannot wait for anybody: the same file, or a way of our own to the same pipe that does
 * not block. Null where there is none, as for a socket (the journal's) or a terminal.
 */
export function readyForStderr(stderr: number): number | null {
  try {
    const stat = fstatSync(stderr);
    if (stat.isFile() || (stat.isCharacterDevice() && stat.rdev === DEV_NULL)) return stderr;
    // O_NONBLOCK belongs to what is opened here alone: ocserv and all its other children share the stderr that we were given.
    if (stat.isFIFO()) return openSync(`/proc/self/fd/${stderr}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // Nobody reads there, or /proc is not there.
  }
  return null;
}

/**
 * Writes what can be written without waiting, in one go. Never fails.
 * @param fd one that does not block.
 * @returns what is left.
 */
export function writeNow(fd: number, bytes: Buffer): Buffer {
  try {
    return bytes.subarray(writeSync(fd, bytes));
  } catch {
    return bytes;
  }
}

/** Writes on a thread of libuv's, which may have to wait for a reader. @returns whether all of it went out. Never fails. */
export async function writeAll(fd: number, bytes: Buffer): Promise<boolean> {
  let rest = bytes;
  for (let tries = 0; rest.length > 0 && tries < RETRIES; tries++) {
    const written = await writeSome(fd, rest);
    if (written === null) return false;
    rest = rest.subarray(written);
    if (written === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  return rest.length === 0;
}

/** How many bytes went out; 0 when the reader is not ready; null when it is gone. */
function writeSome(fd: number, bytes: Buffer): Promise<number | null> {
  return new Promise((resolve) => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error === null) resolve(written);
      else resolve(error.code === 'EAGAIN' || error.code === 'EINTR' ? 0 : null);
    });
  });
}
