/**
 * Which call is this? ocserv passes no arguments, only its environment; people pass arguments. Nothing else is
 * loaded before that is known: a connect must not pay for the command line.
 *
 * The exit status is a denial until a decision sets it: an event loop that empties, or a promise that never settles,
 * would otherwise end with 0 and let everybody in.
 */
process.exitCode = 1;
process.umask(0o077);

async function main(): Promise<void> {
  if (process.argv.length <= 2 && process.env['REASON'] !== undefined) {
    const { runHook } = await import('./hook/run.ts');
    await runHook();
  } else if (process.argv.length === 3 && process.argv[2] === 'drain') {
    // Started by the launcher, after a hook that left something to deliver.
    const { runDrain } = await import('./events/drain-process.ts');
    await runDrain();
  } else {
    const { runCommand } = await import('./cli/program.ts');
    await runCommand(process.argv.slice(2));
  }
}

void main();
