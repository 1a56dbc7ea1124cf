import { configFile, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { Log } from '../log/log.ts';
import { CHECKPOINT_PAGES, State } from '../state/state.ts';

/** Something that a person asked for failed; the message and its cure are for that person. */
export class CommandFailed extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'CommandFailed';
    this.exitCode = exitCode;
  }
}

/** What the options of every command say. */
export interface GlobalOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Milliseconds that a person's command waits for a busy state. */
const PATIENCE_MS = 10_000;
/** The same, over all the steps of a long work. */
export const LONG_PATIENCE_MS = 5 * 60_000;

export async function configOf(options: GlobalOptions): Promise<Config> {
  return loadConfig(configFile(options.config));
}

/** The state as the hooks use it. Only a command that writes (`create`) makes one where there is none yet. */
export async function stateOf(
  config: Config,
  { create = false, patience = PATIENCE_MS }: { create?: boolean; patience?: number } = {},
): Promise<State> {
  return State.open({
    path: config.state.path,
    create,
    patience,
    durable: false,
    checkpointPages: CHECKPOINT_PAGES,
    onSetAside: (aside) =>
      process.stderr.write(
        `ocagent-hook: the state was corrupt: it was set aside as ${aside}, and a new one begun\n`,
      ),
  });
}

/** A command that changes something must have changed it. */
export function mustBeRecorded(state: State): void {
  if (state.unrecorded !== null) throw new CommandFailed(`the state cannot be written: ${state.unrecorded}`);
}

/** Where a command says what it does besides its answer: the log file where there is one, else only what matters, on stderr. */
export function logFor({ log }: Config): Log {
  return new Log(
    log.file === '' ? { ...log, format: 'text', level: log.level === 'error' ? 'error' : 'warn' } : log,
  );
}
