import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

/**
 * All tests: first those that need nothing but this machine's processes, then the real VPN, whose rounds want the
 * processors for themselves.
 */
const root = join(import.meta.dirname, '..');
const only = process.argv.slice(2);

let failed = false;
for (const { suites, concurrency } of [
  { suites: ['unit'], concurrency: 2 },
  { suites: ['integration'], concurrency: 2 },
  { suites: ['e2e'], concurrency: 1 },
]) {
  const wanted = suites.filter((suite) => only.length === 0 || only.includes(suite));
  const files = wanted.flatMap((suite) => globSync(`test/${suite}/**/*.test.ts`, { cwd: root })).sort();
  if (files.length === 0) continue;
  const args = ['--test', `--test-concurrency=${concurrency}`, '--test-timeout=120000', ...files];
  const run = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  failed ||= run.status !== 0;
}
process.exit(failed ? 1 : 0);
