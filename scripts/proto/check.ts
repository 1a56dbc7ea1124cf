/**
 * Compares our contract with another checkout's copy and names every difference, one a line
 * (`make proto-check PORTAL=path`). Exit status: 0 identical, 1 different, 2 the other copy cannot be read.
 *
 *   node scripts/proto/check.ts PORTAL_PATH
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './buf.ts';
import { type Facts, packageFolders, protoFolder, readFacts, Unreadable } from './descriptors.ts';

const OURS = join(ROOT, 'proto');

/** All names in `facts` that contain `name`: what it is defined in, and that is defined in, and so on. */
function* containersOf(name: string): Generator<string> {
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1))
    yield name.slice(0, dot);
}

/** One line for each difference, sorted by name. */
export function differences(ours: Facts, theirs: Facts): string[] {
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  const describe = (facts: Facts, name: string) => facts.get(name) ?? 'lacks it';
  return names.flatMap((name) => {
    if (ours.get(name) === theirs.get(name)) return [];
    // Of a message that one side lacks, its fields are no news.
    const known = [...containersOf(name)].some((outer) => ours.has(outer) !== theirs.has(outer));
    return known ? [] : [`${name}: ours ${describe(ours, name)}, theirs ${describe(theirs, name)}`];
  });
}

function check(path: string): number {
  const folder = protoFolder(path);
  const folders = packageFolders(OURS);
  const found = differences(readFacts(OURS, folders), readFacts(folder, folders));
  for (const line of found) console.log(line);
  if (found.length === 0) console.log(`${folder} holds the same contract.`);
  else console.error(`${found.length} difference(s) between ${OURS} (ours) and ${folder} (theirs).`);
  return found.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [path] = positionals;
  if (path === undefined || positionals.length > 1) {
    console.error('usage: node scripts/proto/check.ts PORTAL_PATH (make proto-check PORTAL=path)');
    process.exit(2);
  }
  try {
    process.exitCode = check(path);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    console.error(`proto-check: ${error.message}`);
    process.exitCode = 2;
  }
}
