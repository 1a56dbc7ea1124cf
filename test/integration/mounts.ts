import { execFileSync } from 'node:child_process';

/** For the `skip` option of tests that mount something. On a build server they must run. */
export const MOUNTS = mountsWork()
  ? {}
  : { skip: process.env['CI'] === undefined ? 'mounting needs root' : false };

function mountsWork(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A small file system of its own in that folder, until it is disposed of. */
export function mountTmpfs(folder: string): AsyncDisposable & { readOnly(): void } {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k,mode=0700', 'tmpfs', folder]);
  return {
    readOnly() {
      execFileSync('mount', ['-o', 'remount,ro', folder]);
    },
    async [Symbol.asyncDispose]() {
      execFileSync('umount', ['-l', folder]);
    },
  };
}

/** Leaves not a byte free there. */
export function fill(folder: string): void {
  execFileSync('sh', ['-c', `dd if=/dev/zero of=${folder}/fill bs=512 2>/dev/null; true`]);
}
