import { watch } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../scripts/vpn/run.ts';

/** One call of the recording hook: what ocserv called it for, or a word that it noted itself, and its environment. */
export type Call = {
  readonly kind: string;
  readonly user: string;
  readonly id: string;
  readonly environment: Readonly<Record<string, string>>;
};

export type RecordingHook = {
  readonly script: string;
  calls(): Promise<Call[]>;
  /** Lets a call that waits at the gate go on; waits for one when there is none yet. */
  openGate(): Promise<void>;
  /** Resolves with the first call that matches, at once when it came already. */
  call(wanted: { kind: string; user?: string; otherThan?: string }, timeout?: number): Promise<Call>;
};

/**
 * A hook in sh that writes down its environment and then does what `body` says, by default: exits with 0. The body
 * can write down more with `record WORD`, and wait at the gate with `wait_at_gate`.
 */
export async function recordingHook(folder: string, body = 'exit 0'): Promise<RecordingHook> {
  const records = join(folder, 'records');
  const script = join(folder, 'hook.sh');
  const gate = join(folder, 'gate');
  await mkdir(records);
  await must(['mkfifo', gate]);
  await writeFile(script, scriptText(records, gate, body), { mode: 0o755 });

  const calls = async () => {
    const names = (await readdir(records)).filter((name) => !name.startsWith('.')).sort();
    return await Promise.all(
      names.map(async (name) => parse(name, await readFile(join(records, name), 'utf8'))),
    );
  };
  return {
    script,
    calls,
    // A process of its own does it, because to open a pipe blocks until somebody opens its other end.
    openGate: async () => {
      await must(['sh', '-c', 'echo open > "$1"', 'sh', gate]);
    },
    call: ({ kind, user, otherThan }, timeout = 10_000) =>
      new Promise((resolve, reject) => {
        const look = async () => {
          const found = (await calls()).find(
            (call) =>
              call.kind === kind && (user === undefined || call.user === user) && call.id !== otherThan,
          );
          if (found) settle(() => resolve(found));
        };
        const settle = (how: () => void) => {
          clearTimeout(timer);
          watcher.close();
          how();
        };
        const onFailure = (error: unknown) => settle(() => reject(error));
        // Watching begins before the first look, so that no call can fall between the two.
        const watcher = watch(records, () => void look().catch(onFailure));
        const timer = setTimeout(async () => {
          const came = (await calls()).map((call) => `${call.kind} ${call.id} ${JSON.stringify(call.user)}`);
          const wanted = [kind, ...(user === undefined ? [] : [JSON.stringify(user)])].join(' ');
          onFailure(
            new Error(`the hook was not called for "${wanted}" within ${timeout} ms, but for: ${came}`),
          );
        }, timeout);
        void look().catch(onFailure);
      }),
  };
}

function scriptText(records: string, gate: string, body: string): string {
  // Moved into place when complete, so that a reader never sees half of it.
  return `#!/bin/sh
record() {
  env -0 > '${records}'/".$1.$ID.$$" && mv '${records}'/".$1.$ID.$$" '${records}'/"$1.$ID.$$"
}
wait_at_gate() {
  read -r _ < '${gate}' || :
}
record "$REASON"
${body}
`;
}

function parse(file: string, text: string): Call {
  const variables = text.split('\0').filter(Boolean);
  const environment = Object.fromEntries(
    variables.map((variable) => {
      const equals = variable.indexOf('=');
      return [variable.slice(0, equals), variable.slice(equals + 1)];
    }),
  );
  return {
    kind: file.split('.')[0] ?? '',
    user: environment['USERNAME'] ?? '',
    id: environment['ID'] ?? '',
    environment,
  };
}
