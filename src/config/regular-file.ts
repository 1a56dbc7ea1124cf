import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';

/**
 * Reads a file that must be a regular one. A named pipe without a writer would hold the process at its opening, deaf to
 * every timer and signal.
 * @param check may throw, on what the file is.
 * @throws the system's error, or one that says what it is instead.
 */
export function readRegularFile(path: string, check: (stat: Stats) => void = () => {}): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error('it is not a regular file');
    check(stat);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
