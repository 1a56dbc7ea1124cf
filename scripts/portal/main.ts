/**
 * The development portal as a command. What people read goes to stderr; stdout has one line of JSON for each call.
 *
 *   node scripts/portal/main.ts --policy FILE --listen 127.0.0.1:9091 --certs DIR [--log]
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { callLine } from './calls.ts';
import { PolicyError } from './policy.ts';
import { type Portal, startPortal } from './portal.ts';
import { watchText } from './watch.ts';

const USAGE = `usage: node scripts/portal/main.ts --policy FILE --certs DIR [--listen 127.0.0.1:9091] [--log]

  --policy FILE   who may connect (TOML); read again when it changes. Example: scripts/portal/policy.toml
  --certs DIR     ca.crt, server.crt, server.key; made by: node scripts/portal/certificates.ts DIR
  --listen ADDR   host:port; port 0 takes a free one
  --log           one line of JSON on stdout for each call`;

class UsageError extends Error {}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function listenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || Number(match?.[3]) > 65_535) {
    throw new UsageError(`--listen is "${text}"; write host:port, for example 127.0.0.1:9091 or [::1]:9091`);
  }
  return { host, port: Number(match?.[3]) };
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        policy: { type: 'string' },
        certs: { type: 'string' },
        listen: { type: 'string', default: '127.0.0.1:9091' },
        log: { type: 'boolean', default: false },
      },
    });
    const { policy, certs, listen, log } = values;
    if (policy === undefined || certs === undefined) throw new UsageError('--policy and --certs are needed');
    return { policy, certs, log, ...listenAddress(listen) };
  } catch (error) {
    throw error instanceof UsageError
      ? error
      : new UsageError(error instanceof Error ? error.message : undefined);
  }
}

function announce(portal: Portal): void {
  say(portal.listening ? `portal: listening on ${portal.address}` : `portal: down (${portal.address})`);
}

async function run(): Promise<void> {
  const { policy: path, certs, log, host, port } = readArguments();
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new Error(`portal: cannot read the policy: ${cause.message}`, { cause });
  });
  const portal = await startPortal({
    certificates: certs,
    policy: text,
    host,
    port,
    onWait: ({ rpc, request }, delay) =>
      say(`portal: ${rpc} of ${JSON.stringify(request.username)} waits ${delay} ms, as the policy says`),
    onCall: (call) => {
      if (log) process.stdout.write(`${callLine(call)}\n`);
      // A portal that runs for days must not keep what only tests look at.
      if (portal.calls.length > 10_000) portal.forget();
    },
  });
  announce(portal);

  const watched = watchText(
    path,
    text,
    async (changedText) => {
      await portal.setPolicy(changedText);
      say('portal: policy read again');
      announce(portal);
    },
    (error) =>
      say(`${error instanceof Error ? error.message : error}\nportal: the policy in force stays as it was`),
  );
  const end = () => {
    watched.close();
    portal.close().catch((error) => say(String(error)));
  };
  process.once('SIGINT', end).once('SIGTERM', end);
}

try {
  await run();
} catch (error) {
  const usage = error instanceof UsageError ? `\n\n${USAGE}` : '';
  say(`${error instanceof Error ? error.message : error}${usage}`);
  process.exitCode = error instanceof UsageError || error instanceof PolicyError ? 2 : 1;
}
