import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { launcherFlags } from './launcher-flags.ts';
import { makeCertificates } from './portal/certificates.ts';
import { startPortal } from './portal/portal.ts';

/**
 * Lets the program answer for real, several times over, and keeps the code that V8 compiled for it. Each run starts from
 * the cache of the runs before, so that in the end one cache serves all the ways that a hook takes.
 * @param dist the folder of the built chunks.
 * @param scratch a folder that may be written and is removed.
 */
export async function makeCodeCache(dist: string, buildId: string, scratch: string): Promise<void> {
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(join(scratch, 'state'), { recursive: true, mode: 0o700 });
  const files = await makeCertificates(join(scratch, 'certs'));
  const portal = await startPortal({
    certificates: files.directory,
    policy: { default: { allowed: false, reason: 'unknown' }, users: { alice: { allowed: true } } },
  });
  const collector = createServer((request, response) => {
    request.resume().on('end', () => response.setHeader('content-type', 'application/json').end('{}'));
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const config = join(scratch, 'config.toml');
  writeFileSync(
    config,
    `[portal]
address = "${portal.address}"
tls = { ca_file = "${files.ca}", cert_file = "${files.agentCertificate}", key_file = "${files.agentKey}" }
[state]
path = "${join(scratch, 'state', 'state.db')}"
[telemetry]
endpoint = "http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/metrics"
`,
    { mode: 0o600 },
  );
  const run = async (env: Record<string, string>, ...args: string[]): Promise<void> => {
    await promisify(execFile)(
      process.execPath,
      [
        ...launcherFlags(),
        '--require',
        join(import.meta.dirname, 'keep-code.cjs'),
        join(dist, 'boot.cjs'),
        ...args,
      ],
      {
        env: {
          ...env,
          OCAGENT_CONFIG: config,
          // Not this machine's: a server's own hooks and drain go by that.
          OCAGENT_RUN_DIR: join(scratch, 'run'),
          CODE_CACHE_ID: buildId,
          OCAGENT_LAUNCHER: String(process.pid),
        },
      },
    ).catch((error: { code?: unknown; stderr?: string }) => {
      // 1 is a denial, which is among the ways to be learned; 64 more is that a drain is wanted.
      if (![1, 64, 65].includes(Number(error.code)))
        throw new Error(`a run for the code cache failed: ${error.stderr}`);
    });
  };
  // A connect on a busy machine may tell its launcher the answer by a signal, and go on (src/hook/launcher.ts): here that is this process.
  const deaf = (): void => {};
  process.on('SIGUSR1', deaf);
  const connect = {
    REASON: 'connect',
    ID: '1',
    IP_REAL: '192.0.2.1',
    IP_REMOTE: '10.0.0.1',
    GROUPNAME: 'staff',
  };
  try {
    await run({ ...connect, USERNAME: 'alice' });
    await run({ ...connect, USERNAME: 'mallory' });
    await run({ ...connect, REASON: 'host-update', USERNAME: 'alice' });
    await run({
      ...connect,
      REASON: 'disconnect',
      USERNAME: 'alice',
      STATS_BYTES_IN: '1',
      STATS_DURATION: '1',
    });
    await run({ ...connect, USERNAME: 'alice' });
    await run({}, 'drain');
  } finally {
    process.off('SIGUSR1', deaf);
    await portal.close();
    collector.close();
    rmSync(scratch, { recursive: true, force: true });
  }
  const made = readdirSync(dist).filter((name) => name.endsWith('.cache'));
  if (made.length < 2) throw new Error(`the code cache is not complete: ${made.join(', ')}`);
}
