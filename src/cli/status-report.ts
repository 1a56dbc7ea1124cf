import type { Config } from '../config/schema.ts';
import type { Transaction } from '../state/transaction.ts';
import { type Figures, figures } from './status-figures.ts';
import { type Problem, problemsOf } from './status-problems.ts';

/** What `status --json` prints; contract/cli.md names the fields that monitoring may rely on. */
export type StatusReport = Figures & { readonly problems: readonly Problem[] };

export function reportOf(tx: Transaction, config: Config): StatusReport {
  const all = figures(tx, config);
  // What is wrong stands first for people, and for those who read the JSON.
  return { problems: problemsOf(all), ...all };
}
