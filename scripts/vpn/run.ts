import { spawn } from 'node:child_process';

/** What a finished command left behind. `status` is null when a signal ended it. */
export type Finished = { status: number | null; stdout: string; stderr: string };

/**
 * Runs one short command to its end, without a shell, for at most `timeout` milliseconds.
 * Rejects only when it cannot be started.
 */
export function run(
  argv: readonly [string, ...string[]],
  options: { input?: string; env?: NodeJS.ProcessEnv; timeout?: number } = {},
): Promise<Finished> {
  const [command, ...args] = argv;
  const child = spawn(command, args, { env: options.env ?? toolEnvironment() });
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    // A grandchild that holds the pipes open must not hold us.
    child.stdout.destroy();
    child.stderr.destroy();
  }, options.timeout ?? 10_000);
  const finished: Finished = { status: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    finished.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    finished.stderr += text;
  });
  // A command that does not read its input closes the pipe: its own status tells what went wrong.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (status) => {
      clearTimeout(timer);
      resolve({ ...finished, status });
    });
  });
}

/** As `run`, and rejects with the command's own words unless its status is 0. Returns its stdout. */
export async function must(
  argv: readonly [string, ...string[]],
  options: { input?: string; timeout?: number } = {},
): Promise<string> {
  const { status, stdout, stderr } = await run(argv, options);
  if (status !== 0) {
    throw new Error(`"${argv.join(' ')}" failed (status ${status}): ${(stderr || stdout).trim()}`);
  }
  return stdout;
}

/** Debian keeps ocserv, openconnect and ip in sbin, which an ordinary user's PATH does not name. */
export const TOOL_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The C.UTF-8 locale keeps openconnect from converting names that are UTF-8 already. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { PATH: TOOL_PATH, LC_ALL: 'C.UTF-8' };
}
