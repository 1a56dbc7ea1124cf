import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificates } from '../portal/certificates.ts';

/**
 * Whole-process times, side by side in one run: `node scripts/bench/main.ts [rounds]`. Each round runs every
 * command once, in turn, so that a machine that gets slower meanwhile is slower for all; what counts is the ratio to an
 * empty script of the same round.
 */
const ROUNDS = Number(process.argv[2] ?? 40);
const WARM_UP = 3;
const ROOT = join(import.meta.dirname, '..', '..');
const HOOK = join(ROOT, 'bin', 'ocagent-hook');

const folder = mkdtempSync(join(tmpdir(), 'ocagent-bench-'));
const files = await makeCertificates(join(folder, 'certs'));
const policy = join(folder, 'policy.toml');
writeFileSync(policy, '[default]\nallowed = true\n');
writeFileSync(join(folder, 'empty.cjs'), '');
mkdirSync(join(folder, 'state'), { mode: 0o700 });

const portal = spawn(
  process.execPath,
  [
    join(ROOT, 'scripts/portal/main.ts'),
    '--policy',
    policy,
    '--certs',
    files.directory,
    '--listen',
    '127.0.0.1:0',
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
try {
  const config = join(folder, 'config.toml');
  writeFileSync(
    config,
    `[portal]
address = "${await listeningAddress()}"
[portal.tls]
ca_file = "${files.ca}"
cert_file = "${files.agentCertificate}"
key_file = "${files.agentKey}"
[state]
path = "${join(folder, 'state', 'state.db')}"
[resilience.cache]
ttl = "1h"
stale_ttl = "1h"
`,
    { mode: 0o600 },
  );
  await measure(config);
} finally {
  portal.kill();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(config: string): Promise<void> {
  const hook = (env: Record<string, string>): Promise<number> =>
    timed([HOOK], { OCAGENT_CONFIG: config, USERNAME: 'alice', GROUPNAME: 'staff', ...env });
  const address = (round: number): string => `198.18.${round >> 8}.${round & 255}`;
  const rows: Record<string, (round: number) => Promise<number>> = {
    'empty script': () => timed([process.execPath, join(folder, 'empty.cjs')], {}),
    'cached connect': (round) => hook({ REASON: 'connect', ID: `${round + 1}`, IP_REAL: '198.51.100.7' }),
    'portal connect': (round) =>
      hook({ REASON: 'connect', ID: `${round + 30_000}`, IP_REAL: address(round) }),
    disconnect: (round) =>
      hook({
        REASON: 'disconnect',
        ID: `${round + 1}`,
        STATS_BYTES_IN: '1',
        STATS_BYTES_OUT: '2',
        STATS_DURATION: '1',
      }),
  };
  const goals: Record<string, string> = { 'cached connect': '1.5', 'portal connect': '3.5' };
  const times: Record<string, number[]> = Object.fromEntries(Object.keys(rows).map((name) => [name, []]));
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    for (const [name, run] of Object.entries(rows)) {
      const time = await run(round);
      if (round >= WARM_UP) times[name]?.push(time);
    }
  }
  const empty = times['empty script'] ?? [];
  console.log(`${ROUNDS} rounds on ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}`);
  console.log(
    `${'whole process, wall'.padEnd(20)}${'median ms'.padStart(10)}${'× empty'.padStart(10)}${'goal'.padStart(8)}`,
  );
  for (const [name, all] of Object.entries(times)) {
    const ratio = median(all.map((time, round) => time / (empty[round] ?? Number.NaN)));
    const goal = goals[name] === undefined ? '' : `≤ ${goals[name]}`;
    console.log(
      `${name.padEnd(20)}${median(all).toFixed(1).padStart(10)}${ratio.toFixed(2).padStart(10)}${goal.padStart(8)}`,
    );
  }
}

async function timed(
  [program = '', ...args]: readonly string[],
  env: Record<string, string>,
): Promise<number> {
  const began = performance.now();
  const child = spawn(program, args, { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0)
    throw new Error(`${program} ended with ${code}: a bench of something that fails tells nothing`);
  return performance.now() - began;
}

async function listeningAddress(): Promise<string> {
  let said = '';
  for await (const chunk of portal.stderr as AsyncIterable<Buffer>) {
    said += chunk.toString();
    const address = /listening on (\S+)/.exec(said)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error(`the portal did not come up: ${said}`);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
