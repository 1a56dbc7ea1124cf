import { runHook } from './hook/run.ts';

/**
 * Which call is this? ocserv passes no arguments, only its environment; people pass arguments. Nothing but the hook is loaded before
 * that is known: a connect must not pay for the command line.
 */
async function main(): Promise<void> {
  if (process.argv.length <= 2 && process.env['REASON'] !== undefined) {
    await runHook();
  } else if (process.argv.length === 3 && process.argv[2] === 'drain') {
    // Started by the launcher, after a hook that left something to deliver, or before many that come at once.
    const { runDrain } = await import('./drain/drain-process.ts');
    await runDrain();
  } else {
    const { runCommand } = await import('./cli/program.ts');
    await runCommand(process.argv.slice(2));
  }
}

void main();
