/**
 * Added to the exit status where a drain must be started. The launcher, which has waited for this process anyway, takes it off
 * again and starts one: a process that Node starts itself would cost the hook several milliseconds.
 */
export const DRAIN_WANTED = 64;

/**
 * Ends the process now. `process.exit` waits for libuv's threads: with a silent name server or a log reader that
 * hangs that is seconds, past any deadline. Replacing the process with a shell that exits does not wait.
 */
export function leave(code: number, logHangs = false): never {
  if (logHangs || process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')) {
    try {
      process.execve?.('/bin/sh', ['sh', '-c', `exit ${code}`], {});
    } catch {
      // No shell, or a runtime without execve: then the slow way.
    }
  }
  process.exit(code);
}
