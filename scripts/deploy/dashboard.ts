/**
 * Generates deploy/grafana/ocagent-hook.json.
 *
 *   node scripts/deploy/dashboard.ts           writes it
 *   node scripts/deploy/dashboard.ts --check   fails when what is there is not what comes out
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDashboard } from './dashboard/build.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FILE = 'deploy/grafana/ocagent-hook.json';

/** As the linter would have it, so that it finds nothing to say about the committed file. */
function formatted(json: string): string {
  const biome = join(ROOT, 'node_modules', '.bin', 'biome');
  const { status, stdout, stderr } = spawnSync(biome, ['format', `--stdin-file-path=${FILE}`], {
    cwd: ROOT,
    input: json,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`biome did not format the dashboard: ${stderr}`);
  return stdout;
}

function main(): number {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  const fresh = formatted(JSON.stringify(buildDashboard(), null, 2));
  const path = join(ROOT, FILE);
  if (!values.check) {
    writeFileSync(path, fresh);
    return 0;
  }
  if (readFileSync(path, 'utf8') === fresh) return 0;
  console.error(
    `${FILE} is not what scripts/deploy/dashboard.ts generates. Run \`node scripts/deploy/dashboard.ts\` and commit it.`,
  );
  return 1;
}

if (import.meta.main) process.exitCode = main();
