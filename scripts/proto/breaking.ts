/**
 * Fails if proto/ has become incompatible with the committed baseline, so that no such edit goes in by accident.
 * buf.yaml names the rules.
 *
 *   node scripts/proto/breaking.ts            compares
 *   node scripts/proto/breaking.ts --renew    makes proto/ the new baseline: for a change that the portal has agreed to
 *
 * `--root FOLDER` looks at another checkout. Exit status: 0 compatible, 1 incompatible, 2 cannot be read.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type BufResult, buf, ROOT } from './buf.ts';

const CURE = `
The portal and every agent hold this contract, and old ones go on running. Undo the edit: add a field under a new
number rather than change one. If the portal and the agents do change together, renew the baseline deliberately:
  node scripts/proto/breaking.ts --renew`;

function unreadable(result: BufResult): number {
  console.error(result.stderr);
  return 2;
}

function gate(root: string, renew: boolean): number {
  const baseline = join(root, 'proto/baseline.txtpb');
  if (renew) {
    // Text, so that a review shows what was agreed; without comments, so that only the contract changes it.
    const built = buf('build', root, '--exclude-source-info', `--output=${baseline}`);
    return built.status === 0 ? 0 : unreadable(built);
  }
  if (!existsSync(baseline)) {
    console.error(
      `${baseline} is missing. It belongs to the repository: git checkout -- proto/baseline.txtpb`,
    );
    return 2;
  }
  // First, because `buf breaking` reports a file that is no protobuf in the same way as an incompatible one.
  const built = buf('build', root);
  if (built.status !== 0) return unreadable(built);
  const compared = buf('breaking', root, `--against=${baseline}`);
  if (compared.status === 0) return 0;
  const found = compared.stdout.toString().trim();
  if (found === '') return unreadable(compared);
  console.error(`${found}\n${CURE}`);
  return 1;
}

const { values } = parseArgs({
  options: { renew: { type: 'boolean', default: false }, root: { type: 'string', default: ROOT } },
});
process.exitCode = gate(resolve(values.root), values.renew);
