/**
 * What the hook costs, side by side in one run, against the goals that it has:
 *
 *   node scripts/bench/main.ts [ROUNDS] [--only PART]... [--report FILE]
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeCertificates } from '../portal/certificates.ts';
import type { Found } from './bench.ts';
import { goalLines } from './goal.ts';
import { PARTS } from './parts.ts';
import { type Peers, readyPeers } from './peers.ts';
import { startBenchPortal } from './portal.ts';
import { facts, reportOf } from './report.ts';
import { textOf } from './table.ts';
import { type Command, timed } from './timed.ts';
import { endProcesses, openWorkplace } from './workplace.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    report: { type: 'string' },
    only: { type: 'string', multiple: true, default: Object.keys(PARTS) },
  },
});
const rounds = Number(positionals[0] ?? 40);
if (
  !Number.isInteger(rounds) ||
  rounds < 1 ||
  positionals.length > 1 ||
  values.only.some((name) => !(name in PARTS))
) {
  console.error('usage: node scripts/bench/main.ts [ROUNDS] [--only PART]... [--report FILE]');
  console.error(`parts: ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}

const began = Date.now();
const found: Found[] = [];
const workplace = openWorkplace();
try {
  const certificates = await makeCertificates(join(workplace.folder, 'certs'));
  const script = join(workplace.folder, 'empty.cjs');
  writeFileSync(script, '');
  const emptyCommand: Command = [process.execPath, script];
  const empty = { name: 'empty script', run: () => timed(emptyCommand) };
  let ready: Peers | undefined;
  const peers = (): Peers => {
    ready ??= readyPeers(workplace.folder);
    return ready;
  };
  const portal = await startBenchPortal(certificates.directory);
  try {
    for (const name of Object.keys(PARTS).filter((part) => values.only.includes(part))) {
      const folder = join(workplace.folder, name);
      mkdirSync(folder);
      try {
        const part = await PARTS[name]?.({
          folder,
          certificates,
          portal,
          rounds,
          emptyCommand,
          empty,
          peers,
        });
        if (part === undefined) continue;
        found.push(part);
        for (const table of part.tables) console.log(textOf(table));
      } finally {
        endProcesses(folder);
        rmSync(folder, { recursive: true, force: true });
      }
      await portal.tally();
    }
  } finally {
    await portal.end();
  }
} finally {
  workplace.end();
}

const goals = found.flatMap((part) => part.goals ?? []);
const seconds = (Date.now() - began) / 1_000;
if (goals.length > 0) console.log(`Goals\n${goalLines(goals)}`);
console.log(
  facts(seconds)
    .map(([what, value]) => `${what}: ${value}`)
    .join('; '),
);
if (values.report !== undefined) {
  const command = ['node scripts/bench/main.ts', ...process.argv.slice(2)].join(' ');
  writeFileSync(
    values.report,
    reportOf(
      command,
      seconds,
      goals,
      found.flatMap((part) => part.tables),
    ),
  );
}
