import { statSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import type { State } from '../state/state.ts';
import { StateUnusable } from '../state/unusable.ts';
import { CommandFailed, configOf, type GlobalOptions, stateOf } from './context.ts';
import { paint, print, printJson, visible } from './output.ts';
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

/** A state that cannot be opened leaves a handle behind: while its file stays as it is, it is tried this rarely. */
const TRIED_AGAIN_MS = 60_000;

/** Looks again and again, at a state that may be set aside and begun anew meanwhile. */
function lookerAt(config: Config): () => Promise<string> {
  let opened: { readonly state: State; readonly file: string } | null = null;
  let failed: { readonly error: StateUnusable; readonly file: string; readonly at: number } | null = null;
  return async () => {
    const file = whichFile(config.state.path);
    const isNews = failed === null || failed.file !== file || performance.now() - failed.at > TRIED_AGAIN_MS;
    if (failed !== null && !isNews) return trouble(failed.error);
    try {
      if (opened?.file !== file) opened = { state: await stateOf(config), file };
      failed = null;
      return page(await opened.state.read((tx) => reportOf(tx, config)));
    } catch (error) {
      if (!(error instanceof StateUnusable)) throw error;
      // One that was opened may be readable again at the next look.
      if (opened?.file !== file) failed = { error, file, at: performance.now() };
      return trouble(error);
    }
  };
}

/** Another one, or the same with other rights, is worth another try. */
function whichFile(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? '' : `${stat.dev} ${stat.ino} ${stat.mode} ${stat.uid}`;
}

function trouble({ message, cure }: StateUnusable): string {
  return `${paint('red', visible(message))}\n${visible(cure)}`;
}
