/**
 * Generates src/portal/gen from proto/ (`make proto`).
 *
 *   node scripts/proto/generate.ts           writes it
 *   node scripts/proto/generate.ts --check   fails, naming the files, when what is there is not what comes out
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { buf, ROOT } from './buf.ts';

const GENERATED = 'src/portal/gen';

/** Path below `directory` → text. */
function filesBelow(directory: string): Map<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.sort().map((path) => [relative(directory, path), readFileSync(path, 'utf8')]));
}

/** What has to be said of each file that differs; empty when the generated code is current. */
export function staleFiles(fresh: Map<string, string>, committed: Map<string, string>): string[] {
  return [...new Set([...fresh.keys(), ...committed.keys()])].sort().flatMap((path) => {
    if (!committed.has(path)) return [`${GENERATED}/${path} is missing`];
    if (!fresh.has(path)) return [`${GENERATED}/${path} is no longer generated`];
    return fresh.get(path) === committed.get(path) ? [] : [`${GENERATED}/${path} differs`];
  });
}

function generate(check: boolean): number {
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const scratch = mkdtempSync(join(ROOT, 'build/proto-'));
  try {
    // buf joins --output with the `out` of buf.gen.yaml.
    const result = buf('generate', '--output', scratch);
    if (result.status !== 0) {
      console.error(result.stderr);
      return 2;
    }
    const fresh = join(scratch, GENERATED);
    const committed = join(ROOT, GENERATED);
    if (!check) {
      // Whole, so that nothing stays behind of a message that is gone.
      rmSync(committed, { recursive: true, force: true });
      cpSync(fresh, committed, { recursive: true });
      return 0;
    }
    mkdirSync(committed, { recursive: true });
    const stale = staleFiles(filesBelow(fresh), filesBelow(committed));
    for (const line of stale) console.error(line);
    if (stale.length > 0)
      console.error('The generated code is not that of proto/. Run `make proto` and commit it.');
    return stale.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  process.exitCode = generate(values.check);
}
