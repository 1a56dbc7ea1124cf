import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launcherFlags } from '../launcher-flags.ts';
import type { Bench, Found } from './bench.ts';
import { interleave, ratioTable } from './measure.ts';
import { timed } from './timed.ts';

/** With the flags of bin/ocagent-hook; what it tells the C library is the same for all rows here. */
const NODE = `"${process.execPath}" ${launcherFlags().join(' ')}`;

/**
 * Where a hook's drain is started from: by the launcher, which the hook's exit status tells to (bin/ocagent-hook, start_drain), or
 * by Node itself. The scripts do nothing else, and what they start is a stand-in that only leaves a mark.
 */
export async function measureLaunch({ folder, rounds, empty }: Bench): Promise<Found> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const byShell = join(folder, 'started-by-sh');
  const byNode = join(folder, 'started-by-node');
  const leaves = file('leaves.cjs', 'process.exit(0);\n');
  const asks = file('asks.cjs', 'process.exit(64);\n');
  // The first line keeps Node's own code cache valid (src/portal/load.ts), or it would be slower yet.
  const spawns = file(
    'spawns.cjs',
    `process.getBuiltinModule('node:v8').setFlagsFromString('--rehash-snapshot');
const { spawn } = require('node:child_process');
const env = { PATH: process.env.PATH };
spawn('touch', [${JSON.stringify(byNode)}], { detached: true, stdio: 'ignore', env }).unref();
process.exit(0);
`,
  );
  const waits = (script: string): string => `${NODE} "${script}" &\nwait "$!"\nstatus=$?\n`;
  const sh = (name: string, script: string, more = ''): string =>
    file(name, `#!/bin/sh\n${waits(script)}${more}exit "$status"\n`);
  const plain = sh('plain.sh', leaves);
  const launching = sh(
    'launching.sh',
    asks,
    `if [ "$status" -ge 64 ] && [ "$status" -le 69 ]; then
	status=$((status - 64))
	(
		exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
		exec env -i PATH="$PATH" setsid touch "${byShell}"
	) >/dev/null &
fi
`,
  );
  const spawning = sh('spawning.sh', spawns);
  const measured = await interleave(
    [
      empty,
      { name: 'sh + empty script', run: () => timed(['sh', plain]) },
      { name: 'the same, and sh starts a drain', run: () => timed(['sh', launching]) },
      { name: 'the same, and Node starts a drain', run: () => timed(['sh', spawning]) },
    ],
    rounds,
  );
  for (const mark of [byShell, byNode]) {
    if (!existsSync(mark)) throw new Error(`nothing was started that would have left ${mark}`);
  }
  return { tables: [ratioTable('Where a drain is started from', measured)] };
}
