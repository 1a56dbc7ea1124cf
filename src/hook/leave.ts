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
