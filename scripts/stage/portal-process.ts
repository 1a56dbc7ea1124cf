import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import type { PolicyInput, RpcName } from '../portal/policy.ts';
import { atExit } from '../vpn/at-exit.ts';
import { toolEnvironment } from '../vpn/run.ts';
import { start } from '../vpn/running.ts';
import { type LogLine, matches, type Wanted } from './hook-log.ts';

/** The development portal as a process of its own, ruled by its policy file alone, as a person would. */
export interface PortalProcess {
  readonly pid: number;
  readonly address: string;
  /** Resolves when the portal goes by it. `down: true` takes it down. */
  setPolicy(policy: PolicyInput): Promise<void>;
  /** Calls that were answered or given up, as the portal's --log tells them, since the last `forget`. */
  calls(wanted?: Wanted): LogLine[];
  /** Resolves when the portal holds a call of that user's back, as a `delay` in its policy says. */
  holds(username: string, rpc?: RpcName): Promise<void>;
  /** Resolves with the first call that matches, at once when it came already. */
  call(wanted: Wanted): Promise<LogLine>;
  forget(): void;
  stop(): Promise<void>;
  /** It is gone at once, and says goodbye to nobody (SIGKILL). */
  kill(): Promise<void>;
}

const MAIN = join(import.meta.dirname, '..', 'portal', 'main.ts');

/** @param inside makes the command one that runs elsewhere, e.g. in a network namespace. */
export async function startPortalProcess(options: {
  folder: string;
  certificates: string;
  policy: PolicyInput;
  /** `host:port`; by default any free port of 127.0.0.1. */
  listen?: string;
  inside?: (argv: readonly string[]) => [string, ...string[]];
}): Promise<PortalProcess> {
  const file = join(options.folder, 'policy.toml');
  let written = 0;
  const write = async (policy: PolicyInput) => {
    written += 1;
    // Numbered, because the portal says that it read the file only where it differs; renamed, so it never sees half.
    await writeFile(`${file}.new`, `# ${written}\n${stringify(policy)}`);
    await rename(`${file}.new`, file);
  };
  await write(options.policy);

  const listen = options.listen ?? '127.0.0.1:0';
  const words = ['--policy', file, '--certs', options.certificates, '--listen', listen, '--log'];
  const argv: [string, ...string[]] = [process.execPath, MAIN, ...words];
  const portal = await start(options.inside?.(argv) ?? argv, { env: toolEnvironment() });
  const callOff = atExit(() => portal.signal('SIGKILL'));
  const announced = await portal.log.waitFor(/^portal: (?:listening on |down \()([^\s)]+)/);
  let from = 0;

  const calls = (wanted: Wanted = {}) =>
    portal.log
      .all(/^\{/, from)
      .map((line) => JSON.parse(line) as LogLine)
      .filter((call) => matches(call, wanted));
  return {
    pid: portal.pid,
    address: announced.match[1] ?? '',
    calls,
    async setPolicy(policy) {
      const before = portal.log.count;
      await write(policy);
      const { index } = await portal.log.waitFor(/^portal: policy read again/, 10_000, before);
      // Said once it has gone down or come back.
      await portal.log.waitFor(policy.down === true ? /^portal: down/ : /^portal: listening/, 10_000, index);
    },
    async holds(username, rpc = 'CheckPolicy') {
      await portal.log.waitFor(new RegExp(`^portal: ${rpc} of "${username}" waits`), 10_000, from);
    },
    async call(wanted) {
      for (let index = from; ; index += 1) {
        const found = await portal.log.waitFor(/^\{/, 10_000, index);
        index = found.index;
        const call = JSON.parse(found.line) as LogLine;
        if (matches(call, wanted)) return call;
      }
    },
    forget() {
      from = portal.log.count;
    },
    async stop() {
      if (portal.running) await portal.end('SIGTERM', 5_000).catch(() => portal.end('SIGKILL'));
      callOff();
    },
    async kill() {
      await portal.end('SIGKILL');
      callOff();
    },
  };
}
