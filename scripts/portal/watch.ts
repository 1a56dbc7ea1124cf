/** Reads a file again whenever it changes. */
import { unwatchFile, watch, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

// Long enough for an editor to finish what it began, too short to notice.
const SETTLE_MS = 25;
// For file systems that report no changes (network shares, some containers).
const STAT_INTERVAL_MS = 500;

export interface WatchedFile {
  close(): void;
}

/** `changed` gets each text that differs from the one before, `first` included; `failed` what it or reading threw. */
export function watchText(
  path: string,
  first: string,
  changed: (text: string) => Promise<void>,
  failed: (error: unknown) => void,
): WatchedFile {
  let last: string | undefined = first;
  let settling: NodeJS.Timeout | undefined;
  let reading = Promise.resolve();

  const read = async () => {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      // Said once; the file counts as changed when it is back.
      if (last !== undefined) failed(error);
      last = undefined;
      return;
    }
    if (text === last) return;
    last = text;
    await changed(text).catch(failed);
  };
  const touched = () => {
    clearTimeout(settling);
    settling = setTimeout(() => {
      reading = reading.then(read);
    }, SETTLE_MS);
  };

  // The directory, not the file: an editor that replaces the file would leave us with the one that is gone.
  const watcher = watch(dirname(path), (_event, name) => {
    if (name === null || name === basename(path)) touched();
  });
  watcher.on('error', failed);
  watchFile(path, { interval: STAT_INTERVAL_MS, persistent: false }, touched);
  // It may have changed since `first` was read, and nobody would tell.
  touched();
  return {
    close() {
      clearTimeout(settling);
      watcher.close();
      unwatchFile(path, touched);
    },
  };
}
