const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs a synchronous clean-up when this process ends before it could clean up in good order: by
 * process.exit, an uncaught exception or a signal; what was made last is cleaned up first. Returns what calls it off.
 */
export function atExit(cleanUp: () => void): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    callOff();
    cleanUp();
    // Every clean-up hears the first signal; with no listener left the second one ends the process as it should.
    process.kill(process.pid, signal);
  };
  const callOff = () => {
    process.off('exit', cleanUp);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  process.prependListener('exit', cleanUp);
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  return callOff;
}
