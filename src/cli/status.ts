import { statSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { CommandFailed, configOf, type GlobalOptions, stateOf } from './context.ts';
import { paint, print, printJson } from './output.ts';
import { page } from './status-page.ts';
import { reportOf } from './status-report.ts';
import { watch } from './watch.ts';

export interface StatusOptions extends GlobalOptions {
  /** Seconds between two looks. */
  readonly watch?: number;
}

/** The whole at a glance: what is wrong first. */
export async function status(options: StatusOptions): Promise<number> {
  if (options.watch !== undefined && options.json) {
    throw new CommandFailed('--watch is for people, --json for machines: give one of them', 2);
  }
  const config = await configOf(options);
  if (options.watch !== undefined) {
    await watch(lookerAt(config), options.watch * 1_000);
    return 0;
  }
  const state = await stateOf(config);
  const report = await state.read((tx) => reportOf(tx, config));
  if (options.json) await printJson(report);
  else await print(page(report));
  return 0;
}

/** Looks again and again, at a state that may be set aside and begun anew meanwhile. */
function lookerAt(config: Config): () => Promise<string> {
  let opened: { readonly state: State; readonly file: number | undefined } | null = null;
  return async () => {
    try {
      const file = statSync(config.state.path, { throwIfNoEntry: false })?.ino;
      if (opened === null || opened.file !== file) opened = { state: await stateOf(config), file };
      return page(await opened.state.read((tx) => reportOf(tx, config)));
    } catch (error) {
      opened = null;
      if (!(error instanceof StateUnusable)) throw error;
      return `${paint('red', error.message)}\n${error.cure}`;
    }
  };
}
