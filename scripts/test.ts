import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';

/**
 * All tests: first those that need nothing but this machine's processes, then the storms of hundreds of them and the real
 * VPN, which want the processors for themselves.
 */
const root = join(import.meta.dirname, '..');
const only = process.argv.slice(2);

const STORMS =
  'test/integration/{storm,leader,leader-*,events,events-trouble,kill-campaign,metrics-storm,metrics-killed,slots}.test.ts';

let failed = false;
for (const { suite, files: pattern, exclude, concurrency } of [
  { suite: 'unit', files: 'test/unit/*.test.ts', exclude: [], concurrency: 2 },
  { suite: 'integration', files: 'test/integration/*.test.ts', exclude: [STORMS], concurrency: 2 },
  { suite: 'integration', files: STORMS, exclude: [], concurrency: 1 },
  { suite: 'e2e', files: 'test/e2e/*.test.ts', exclude: [], concurrency: 1 },
]) {
  if (only.length > 0 && !only.includes(suite)) continue;
  const files = globSync(pattern, { cwd: root, exclude }).sort();
  const args = ['--test', `--test-concurrency=${concurrency}`, '--test-timeout=120000', ...files];
  const run = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  failed ||= run.status !== 0;
}
process.exit(failed ? 1 : 0);
