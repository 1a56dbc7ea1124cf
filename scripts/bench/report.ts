/** The figures as a document, with all that is needed to judge or repeat them. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Goal, goalTable } from './goal.ts';
import { markdownOf, type Table } from './table.ts';

const ROOT = join(import.meta.dirname, '..', '..');

export function reportOf(
  command: string,
  seconds: number,
  goals: readonly Goal[],
  tables: readonly Table[],
): string {
  return [
    '# Figures of the bench',
    '',
    `Written by \`${command}\`; how each figure is taken is in README.md beside this file.`,
    '',
    ...facts(seconds).map(([what, value]) => `- ${what}: ${value}`),
    '',
    ...[goalTable(goals), ...tables].map(markdownOf),
  ].join('\n');
}

/** Where and of what the figures are. */
export function facts(seconds: number): [string, string][] {
  const processors = cpus();
  return [
    ['date', new Date().toISOString().slice(0, 10)],
    ['commit', commit()],
    ['processors', `${processors.length} × ${processors[0]?.model ?? 'unknown'}`],
    ['memory', `${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['kernel', release()],
    ['Node', process.version],
    ['took', `${Math.round(seconds / 60)} minutes`],
  ];
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    // The document itself is about to change.
    const changes = git('status', '--porcelain', '--', ROOT, ':!scripts/bench/FIGURES.md');
    return git('rev-parse', '--short=12', 'HEAD') + (changes === '' ? '' : ', with changes');
  } catch {
    return 'unknown: not a checkout';
  }
}
