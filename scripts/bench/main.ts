/**
 * What the hook's ways cost, side by side in one run: `node scripts/bench/main.ts [rounds]`. Whole processes as ratios to an
 * empty script, these again beside a collector in trouble, where a drain is best started from, and how fast it delivers.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from '../portal/certificates.ts';
import { measureDeliveries, printDeliveries } from './drain-rate.ts';
import { hookBench } from './hooks.ts';
import { launchBench } from './launch.ts';
import { interleave, printRatios, type Row, timed } from './measure.ts';
import { startBenchPortal } from './portal.ts';
import { telemetryBench } from './telemetry.ts';
import { endProcesses, openWorkplace } from './workplace.ts';

const rounds = Number(process.argv[2] ?? 40);
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error('usage: node scripts/bench/main.ts [rounds]');
  process.exit(2);
}
/** A delivery takes as long as a hundred hooks. */
const deliveryRounds = Math.max(3, Math.round(rounds / 8));

const workplace = openWorkplace();
try {
  const { folder } = workplace;
  const certificates = await makeCertificates(join(folder, 'certs'));
  const script = join(folder, 'empty.cjs');
  writeFileSync(script, '');
  const empty: Row = { name: 'empty script', run: () => timed([process.execPath, script]) };
  const portal = await startBenchPortal(certificates.directory);
  try {
    console.log(`${rounds} rounds on ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`);
    const hooks = await hookBench(join(folder, 'hooks'), certificates, portal.address);
    printRatios(await interleave([empty, ...hooks.rows], rounds));
    for (const line of hooks.aftermath()) console.log(`  ${line}`);
    endProcesses(join(folder, 'hooks'));

    console.log('\nwith a collector in trouble');
    const telemetry = await telemetryBench(join(folder, 'telemetry'), certificates, portal.address);
    try {
      printRatios(await interleave([empty, ...telemetry.rows], rounds));
      for (const line of telemetry.aftermath()) console.log(`  ${line}`);
    } finally {
      endProcesses(join(folder, 'telemetry'));
      telemetry.end();
    }

    console.log('\nwhere the drain is started from');
    const launch = launchBench(join(folder, 'launch'));
    printRatios(await interleave([empty, ...launch.rows], rounds));
    launch.verify();

    console.log(`\nthe drain's rate, ${deliveryRounds} rounds`);
    printDeliveries(await measureDeliveries(join(folder, 'rate'), certificates, portal, deliveryRounds));
  } finally {
    await portal.end();
  }
} finally {
  workplace.end();
}
