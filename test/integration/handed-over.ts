/** Calls that a drain answers, as a test sees and troubles them. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, CONNECT, placeOf } from './agent.ts';
import { until } from './leader.ts';
import { over } from './stand-in.ts';

/** What a hook ends with that starts a process of its own all the same: a status that nothing else has. */
export const ALONE = 99;

/** A launcher whose own Node ends at once. */
export const withoutNode = (agent: Agent): string[] => [over(agent, `exit ${ALONE}`)];

/** What a drain puts up while it takes calls. */
export const sign = (agent: Agent): string => join(agent.runDir, 'drain');

/** Has a drain there that takes calls: the first connect of all starts it. */
export async function attended(agent: Agent, command?: readonly string[]): Promise<void> {
  const first = await agent.hook(
    { ...CONNECT, USERNAME: 'alice', ID: '4000', IP_REAL: '198.51.100.99' },
    command,
  );
  assert.equal(first.code, 0, first.stderr);
  await until(() => existsSync(sign(agent)), 'a drain takes calls');
}

/** Runs a hook with another stderr than a file that it appends to. @returns the exit status. */
export async function startWith(
  agent: Agent,
  env: Readonly<Record<string, string>>,
  [program = '']: readonly string[],
  stderr: number,
): Promise<number | null> {
  const child = spawn(program, [], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...placeOf(agent),
      ...env,
    },
    stdio: ['ignore', 'ignore', stderr],
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

/** A named pipe, open at both ends, that keeps nobody waiting here. Not to be given to a child: that would have it wait. */
export function pipeAt(path: string): number {
  if (!existsSync(path)) execFileSync('mkfifo', [path]);
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}

export function readPipe(fd: number): string {
  const bytes = Buffer.alloc(65_536);
  return bytes.toString('utf8', 0, readSync(fd, bytes));
}

/** Until nothing more goes in. */
export function fillPipe(fd: number): void {
  try {
    for (;;) writeSync(fd, Buffer.alloc(4_096));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
  }
}
